#pragma once
// Link: membership in one intrusive ring. A ring is a sentinel Link and the members behind it. A
// member that dies leaves its ring by itself, and a sentinel that dies leaves its members linked
// to each other only, so neither has to outlive the other.

namespace drover::net {

class Link {
 public:
  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() { unlink(); }

  bool linked() const { return next_ != this; }
  // Of a sentinel: the oldest and the newest member. Precondition: linked().
  Link* front() const { return next_; }
  Link* back() const { return prev_; }

  // Of a sentinel: makes `member` the newest. Precondition: !member.linked().
  void append(Link& member) {
    member.prev_ = prev_;
    member.next_ = this;
    prev_->next_ = &member;
    prev_ = &member;
  }

  // Of an empty sentinel: takes over all members of `other`.
  void take(Link& other) {
    if (!other.linked()) return;
    next_ = other.next_;
    prev_ = other.prev_;
    next_->prev_ = this;
    prev_->next_ = this;
    other.next_ = other.prev_ = &other;
  }

  void unlink() {
    prev_->next_ = next_;
    next_->prev_ = prev_;
    next_ = prev_ = this;
  }

 private:
  Link* next_ = this;
  Link* prev_ = this;
};

}  // namespace drover::net
