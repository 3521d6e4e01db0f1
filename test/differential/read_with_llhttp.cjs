// What Node's parser (llhttp, strict: no lenient flag is set) makes of the messages that
// read_messages.cc describes; the same lines in, the same objects out. Fed byte by byte, so that the
// place where a message is complete is its own word.
'use strict';
const { HTTPParser, methods } = require('node:_http_common');
const { createInterface } = require('node:readline');

// Node 20 numbers methods by a longer list than the one it shows; process.binding has that.
const { emitWarning } = process;
process.emitWarning = () => {};
const binding = process.binding('http_parser');
process.emitWarning = emitWarning;
const byNumber = binding.allMethods ?? binding.methods ?? methods;

const text = (bytes) => Buffer.from(bytes).toString('latin1');
const pairs = (flat) => {
  const fields = [];
  for (let i = 0; i + 1 < flat.length; i += 2) fields.push([flat[i], flat[i + 1]]);
  return fields;
};

function read(kind, input) {
  const request = kind === 'request';
  const parser = new HTTPParser();
  parser.initialize(request ? HTTPParser.REQUEST : HTTPParser.RESPONSE, {}, 1 << 20,
    HTTPParser.kLenientNone | 0);
  let said = null;
  let complete = false;
  let early = [];
  let url = '';
  const body = [];
  // Called before the head is complete when it has more fields than fit, and for trailers.
  parser[HTTPParser.kOnHeaders | 0] = (headers, more) => {
    if (said) return;
    early = early.concat(headers);
    url += more;
  };
  parser[HTTPParser.kOnHeadersComplete | 0] =
    (major, minor, headers, method, target, status) => {
      const fields = pairs(early.concat(headers ?? []));
      said = request
        ? { method: byNumber[method], target: url + (target ?? ''), minor, fields }
        : { status, minor, fields };
      if (major !== 1) said.minor = `${major}.${minor}`;
      return kind === 'response-to-head' ? 1 : 0;
    };
  parser[HTTPParser.kOnBody | 0] = (piece) => { body.push(Buffer.from(piece)); };
  parser[HTTPParser.kOnMessageComplete | 0] = () => { complete = true; };
  const answer = (consumed) => ({
    outcome: 'complete', ...said, body: text(Buffer.concat(body)), consumed,
  });
  const refused = (error) => ({ outcome: 'refused', why: `${error.code}: ${error.reason}` });
  for (let i = 0; i < input.length; ++i) {
    const result = parser.execute(input.subarray(i, i + 1));
    if (complete) return answer(i + 1);
    if (result instanceof Error) return refused(result);
  }
  if (!request) {
    const result = parser.finish();
    if (complete) return answer(input.length);
    if (result instanceof Error && said === null) return { outcome: 'incomplete' };
  }
  return { outcome: 'incomplete' };
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const [kind, hex] = line.split(' ');
  process.stdout.write(`${JSON.stringify(read(kind, Buffer.from(hex ?? '', 'hex')))}\n`);
});
