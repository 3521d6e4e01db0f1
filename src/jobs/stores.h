#pragma once
// A store is a directory of models, and the instances that share it: what one of them pulls or
// deletes, all of them have or lack. So management is done once per store, and what concerns memory
// once per instance. Which instances share a store is told, never guessed (docs/models.md).

#include <string>
#include <vector>

#include "base/ids.h"
#include "core/fleet.h"
#include "net/endpoint.h"

namespace drover::jobs {

struct Member {
  BackendId id;
  std::string name;
  net::HostPort address;
};

struct Store {
  std::string name;
  std::vector<Member> members;  // never empty; the first that answers does the writing
  std::string directory;        // where drover can read its models; empty: nowhere
};

// Whether an instance answers as far as is known; draining ones do.
bool answers(const core::BackendView& instance);

// Who acts for the store: its first member that answers and is not among `passed_over`. One and the
// same for everybody, because two writers of one directory disturb each other. Null: nobody.
const Member* writer_of(const Store& store, const core::FleetView& fleet,
                        const std::vector<BackendId>& passed_over);

// Whether the store has the model, as its members said last, also before they went away.
enum class Has : std::uint8_t { kYes, kNo, kUnknown };
Has has_model(const Store& store, const core::FleetView& fleet, const ModelName& model);

}  // namespace drover::jobs
