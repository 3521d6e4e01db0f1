#pragma once
// A value or an Error. Expected failures travel as Result; there are no exceptions across modules.

#include <cstdlib>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/error.h"

namespace drover {

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // Precondition of value access: ok(). Of error(): !ok().
  T& value() & {
    DROVER_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    DROVER_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    DROVER_ASSERT(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  Error& error() & {
    DROVER_ASSERT(!ok());
    return *std::get_if<1>(&state_);
  }
  const Error& error() const& {
    DROVER_ASSERT(!ok());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    DROVER_ASSERT(!ok());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};

// Success without a value: `return Done{};`.
struct Done {};
template <>
class [[nodiscard]] Result<void> : public Result<Done> {
 public:
  using Result<Done>::Result;
  Result() : Result<Done>(Done{}) {}
};

}  // namespace drover
