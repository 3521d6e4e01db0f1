#pragma once
// The demo's client and its script: asks drover like any client would and tells what it saw.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "app/generate_client.h"
#include "net/endpoint.h"
#include "net/loop.h"
#include "net/task.h"

namespace drover::app {

// What the script can do to the world.
struct Story {
  std::function<void(const std::string&)> say;
  std::function<void(int)> kill_instance;   // SIGKILL to instance number i
  std::function<void(int)> start_instance;  // again, on the same port
};

class DemoClient {
 public:
  DemoClient(net::Loop& loop, net::Endpoint drover);

  // Tells the whole story; false when something did not happen as promised.
  bool run(const Story& story);

 private:
  // How many requests at once, for which model (a literal), for how many tokens each.
  struct Load {
    int requests = 1;
    std::string_view model;
    unsigned tokens = 1;
  };
  enum class Show : std::uint8_t { kNothing, kText };

  net::Task<void> tell(const Story& story);
  net::Task<bool> wait_ready();
  net::Task<void> one_stream(const Story& story);
  net::Task<void> hidden_failure(const Story& story);
  net::Task<void> visible_failure(const Story& story);
  net::Task<void> comes_back(const Story& story);
  net::Task<Generated> ask(Load load, Show show, const Story& story);
  net::Task<void> ask_into(Load load, const Story& story, Generated& asked, std::size_t& running);
  net::Task<std::vector<Generated>> ask_many(Load load, const Story& story, Duration kill_after,
                                             int victim);

  net::Loop& loop_;
  net::Endpoint drover_;
  bool as_promised_ = true;
};

}  // namespace drover::app
