#pragma once
// Processes of the bench. Each ends with its owner, however that ends.

#include <sys/types.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "posix.h"

namespace drover::bench {

class Child {
 public:
  Child() = default;
  explicit Child(pid_t process) : process_(process) {}
  Child(Child&& other) noexcept : process_(std::exchange(other.process_, 0)) {}
  Child& operator=(Child&& other) noexcept {
    std::swap(process_, other.process_);
    return *this;
  }
  ~Child();  // asks it to end, waits a little, and ends it with what it started
  pid_t process() const { return process_; }
  bool running();

 private:
  pid_t process_ = 0;
};

// A copy of this process that runs `work` on these cores.
Child run_function(const Cores& cores, const std::function<void()>& work);

// A program with its words; what it writes goes to the end of `log`.
Child run_program(const Cores& cores, const std::vector<std::string>& words,
                  const std::string& log);

// What a short command says on both of its outputs; empty when it cannot be run.
std::string output_of(const std::string& command);

}  // namespace drover::bench
