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

  // Of a sentinel: the oldest member that `matches`; null when none does.
  template <class Match>
  Link* find(Match matches) const {
    for (Link* member = next_; member != this; member = member->next_) {
      if (matches(*member)) return member;
    }
    return nullptr;
  }
  // Of a sentinel: its members, oldest first. `visit` leaves the ring as it is.
  template <class Visit>
  void for_each(Visit visit) const {
    for (Link* member = next_; member != this; member = member->next_) visit(*member);
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
