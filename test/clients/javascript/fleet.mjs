// What the JavaScript tests know about the fleet that fleet.py started for them.

export const url = process.env.DROVER_TEST_URL;
export const chatModel = process.env.DROVER_TEST_CHAT_MODEL;
export const embedModel = process.env.DROVER_TEST_EMBED_MODEL;
const fakes = (process.env.DROVER_TEST_FAKES ?? "").split(" ");

if (!url) throw new Error("no fleet: run these tests with test/clients/run");

async function everyFake(path, options) {
  return Promise.all(
    fakes.map(async (fake) => {
      const answer = await fetch(fake + path, options);
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
      return answer;
    }),
  );
}

// The next answer of every instance goes wrong this way.
export function fault(kind, details = {}) {
  return everyFake("/fake/fault", {
    method: "POST",
    body: JSON.stringify({ kind, count: 1, ...details }),
  });
}

export function clearFaults() {
  return everyFake("/fake/fault", { method: "DELETE" });
}

// The sum of one counter of /fake/state.
export async function total(count) {
  const answers = await everyFake("/fake/state");
  const states = await Promise.all(answers.map((answer) => answer.json()));
  return states.reduce((sum, state) => sum + state[count], 0);
}

export async function until(condition, what, seconds = 10) {
  const deadline = performance.now() + seconds * 1000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
  }
}
