#include "config/config.h"

#include <fmt/format.h>

namespace drover::config {

std::string HostPort::to_string() const {
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

bool HostPort::is_loopback() const {
  if (host == "localhost" || host == "::1") return true;
  // A host of digits and dots only is an address: names that begin so are refused by the parser.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
}

bool HostPort::is_wildcard() const { return host == "0.0.0.0" || host == "::"; }

std::string_view to_string(Policy policy) {
  switch (policy) {
    case Policy::kRoundRobin:
      return "round_robin";
    case Policy::kLeastLoaded:
      return "least_loaded";
    case Policy::kExpectedCompletion:
      return "expected_completion";
  }
  return "";
}

std::string_view to_string(Supervise supervise) {
  switch (supervise) {
    case Supervise::kAuto:
      return "auto";
    case Supervise::kAlways:
      return "always";
    case Supervise::kNever:
      return "never";
  }
  return "";
}

std::string_view to_string(Spanning spanning) {
  switch (spanning) {
    case Spanning::kAuto:
      return "auto";
    case Spanning::kNever:
      return "never";
  }
  return "";
}

std::string_view to_string(Priorities priorities) {
  switch (priorities) {
    case Priorities::kNone:
      return "none";
    case Priorities::kByHeader:
      return "by_header";
  }
  return "";
}

std::string_view to_string(StoreCopies copies) {
  switch (copies) {
    case StoreCopies::kNever:
      return "never";
    case StoreCopies::kAlways:
      return "always";
  }
  return "unknown";
}

std::string_view to_string(AliasListing listing) {
  switch (listing) {
    case AliasListing::kNever:
      return "never";
    case AliasListing::kAlways:
      return "always";
  }
  return "";
}

std::string_view to_string(NumCtxRule rule) {
  switch (rule) {
    case NumCtxRule::kNormalise:
      return "normalise";
    case NumCtxRule::kPass:
      return "pass";
    case NumCtxRule::kRefuse:
      return "refuse";
  }
  return "";
}

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "";
}

std::string_view to_string(LogFormat format) {
  switch (format) {
    case LogFormat::kAuto:
      return "auto";
    case LogFormat::kText:
      return "text";
    case LogFormat::kJson:
      return "json";
  }
  return "";
}

}  // namespace drover::config
