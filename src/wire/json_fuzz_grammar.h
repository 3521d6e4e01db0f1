#pragma once
// For fuzz targets only: what the JSON of requests and answers is made of, and the traps in it:
// keys that some decoders fold together, escapes, numbers at the edge, records that look like an
// end.

#include <string_view>

#include "wire/fuzz_grammar.h"

namespace drover::wire {

inline constexpr std::string_view kJsonMembers[] = {
    "{",
    "}",
    "\"model\":\"m\",",
    "\"Model\":\"m\",",
    "\"\\u006dodel\":\"x\",",
    "\"name\":\"n\",",
    "\"stream\":true,",
    "\"stream\":null,",
    "\"\xc5\xbftream\":false,",
    "\"to\\u212aens\":1,",
    "\"options\":{\"num_ctx\":4096,",
    "\"stream_options\":{\"include_usage\":true},",
    "\"messages\":[{\"role\":\"user\",\"content\":\"\"}],",
    "\"tools\":[],",
    "\"format\":\"json\",",
    "\"prompt\":\"\",",
    "\"done\":true,",
    "\"done\":false,",
    "\"error\":\"e\",",
    "\"error\":{\"message\":\"e\"},",
    "\"error\":null,",
    "\"type\":\"error\",",
    "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2},",
    "\"response\":{\"usage\":{\"input_tokens\":3}},",
    "\"eval_count\":7,",
    "data: [DONE]\n\n",
    "data: {",
    "event: message_stop\n",
    "event: response.completed\r\n",
    "data: {\"type\":\"message_stop\"}\r\n\r\n",
    ": comment\n",
    "\n",
    "\r\n\r\n",
};

inline constexpr std::string_view kJsonWords[] = {
    "{",
    "}",
    "[",
    "]",
    ":",
    "\"",
    "\\",
    "\\\"",
    "\\u0000",
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1e400",
    "1e-400",
    "01",
    "1.",
    "-",
    "\\ud800",
    "\\udc00",
    "\\u",
    "\xef\xbb\xbf",
    "\xc3",
    "\x80",
    "\xed\xa0\x80",
    "\t",
    "\r",
    "\n",
    "\x01",
    "\x7f",
    "18446744073709551616",
    "\"done\":true",
    " ",
    "\"error\"",
    "[DONE]",
    "data:",
    "event:",
};

inline constexpr FuzzGrammar kJsonGrammar{",", kJsonMembers, kJsonWords};

}  // namespace drover::wire
