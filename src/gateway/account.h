#pragma once
// What only the instance with an account at ollama.com can do: models in the cloud, and the account
// itself. One instance has it, or none.

#include "base/ask.h"
#include "base/result.h"
#include "gateway/settings.h"

namespace drover::gateway {

// ":cloud" or a tag that ends in "-cloud": Ollama passes it on to ollama.com.
bool is_cloud(const ModelName& model);

// Keeps a request for a model in the cloud to that instance. Error kForbidden: there is none.
Result<void> keep_to_account(Ask& ask, const Settings& settings);

// For every route that needs the account. Names the line of the configuration.
Error no_account(std::string_view what);

}  // namespace drover::gateway
