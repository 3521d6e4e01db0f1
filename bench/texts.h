#pragma once
// What the backend says, byte for byte, and so what a client must get through every proxy. The
// shape is Ollama's; the sizes are fixed, so that making and checking a record costs nothing.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace drover::bench {

inline constexpr std::string_view kModel = "bench";

// One record of a stream: about 100 bytes, with when it was sent and its number within the stream.
inline constexpr std::size_t kRecordBytes = 106;
struct RecordFacts {
  std::uint64_t sent_ns = 0;
  std::uint32_t number = 0;
};
void write_record(char* out, RecordFacts facts);
bool read_record(std::string_view line, RecordFacts& facts);  // with its line end

std::string last_record(std::uint32_t records);  // what ends a stream of so many
const std::string& document();                   // the answer to "stream": false

// The request bodies: `bytes` long, with the model's name at one end.
enum class ModelPlace : std::uint8_t { kFirst, kLast };
enum class Answer : std::uint8_t { kDocument, kStream };
struct Question {
  Answer answer = Answer::kDocument;
  std::size_t body_bytes = 1024;
  ModelPlace model = ModelPlace::kFirst;
};
std::string body_of(const Question& question);
// Whether a body wants a stream stands near its beginning, wherever the model stands.
inline constexpr std::size_t kTellingBytes = 128;
Answer wanted_answer(std::string_view beginning);

}  // namespace drover::bench
