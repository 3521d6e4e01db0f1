#include "wire/zstd_body.h"

#include <zstd.h>
#include <zstd_errors.h>

#include <array>
#include <string>

#include "base/check.h"

namespace drover::wire {
namespace {

constexpr std::size_t kRoom = 64 * 1024;  // decoded at once

Error client_error(ErrorKind kind, std::string message) {
  return {kind, Origin::kClient, Retry::kNever, std::move(message)};
}

struct Free {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

struct ZstdBody::State {
  std::unique_ptr<ZSTD_DCtx, Free> context{ZSTD_createDCtx()};
  std::array<char, kRoom> room;
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  bool between_frames = false;  // true: the body may end here
};

ZstdBody::ZstdBody() : state_(std::make_unique<State>()) {
  DROVER_ASSERT(state_->context != nullptr);
  ZSTD_DCtx_setParameter(state_->context.get(), ZSTD_d_windowLogMax, kWindowLog);
}
ZstdBody::ZstdBody(ZstdBody&&) noexcept = default;
ZstdBody::~ZstdBody() = default;

Result<ZstdBody::Step> ZstdBody::next(std::string_view piece) {
  State& s = *state_;
  ZSTD_inBuffer input{piece.data(), piece.size(), 0};
  ZSTD_outBuffer output{s.room.data(), s.room.size(), 0};
  const std::size_t hint = ZSTD_decompressStream(s.context.get(), &output, &input);
  if (ZSTD_isError(hint) != 0) {
    const bool window = ZSTD_getErrorCode(hint) == ZSTD_error_frameParameter_windowTooLarge;
    if (window) {
      return client_error(
          ErrorKind::kTooLarge,
          "the zstd body needs a window of more than 8 MiB; compress it at level 19 "
          "or lower");
    }
    return client_error(ErrorKind::kMalformed, std::string("the request body is not valid zstd: ") +
                                                   ZSTD_getErrorName(hint));
  }
  s.in += input.pos;
  s.out += output.pos;
  // Without anything new the library tells what it wants of a next frame.
  if (input.pos > 0 || output.pos > 0) s.between_frames = hint == 0;
  if (s.out > kSlack && s.out / kMostRatio > s.in) {
    return client_error(ErrorKind::kTooLarge,
                        "the zstd body expands to more than 100 times its size; send it as it is");
  }
  return Step{input.pos, {s.room.data(), output.pos}};
}

std::uint64_t ZstdBody::memory_bytes() const {
  return sizeof(State) + ZSTD_sizeof_DCtx(state_->context.get());
}

Result<void> ZstdBody::end() const {
  if (state_->between_frames) return {};
  return client_error(ErrorKind::kMalformed, "the zstd request body was cut short");
}

}  // namespace drover::wire
