#include "net/loop_thread.h"

#include <pthread.h>

#include <csignal>

namespace drover::net {

LoopThread::LoopThread(Loop& loop, const std::string& name)
    : loop_(loop), thread_([&loop, name] {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
        loop.run();
      }) {}

LoopThread::~LoopThread() {
  loop_.stop();
  thread_.join();
}

}  // namespace drover::net
