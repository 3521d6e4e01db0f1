#include "base/error.h"

namespace drover {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kMalformed:
      return "malformed";
    case ErrorKind::kTooLarge:
      return "too_large";
    case ErrorKind::kHeadTooLarge:
      return "head_too_large";
    case ErrorKind::kTargetTooLong:
      return "target_too_long";
    case ErrorKind::kSlow:
      return "slow_client";
    case ErrorKind::kUnsupported:
      return "unsupported";
    case ErrorKind::kHttpVersion:
      return "http_version";
    case ErrorKind::kMediaType:
      return "media_type";
    case ErrorKind::kExpectation:
      return "expectation";
    case ErrorKind::kMisdirected:
      return "host_not_allowed";
    case ErrorKind::kForbidden:
      return "forbidden";
    case ErrorKind::kNotFound:
      return "not_found";
    case ErrorKind::kMethodNotAllowed:
      return "method_not_allowed";
    case ErrorKind::kNoSuchModel:
      return "no_such_model";
    case ErrorKind::kUnavailable:
      return "unavailable";
    case ErrorKind::kTooBig:
      return "too_big";
    case ErrorKind::kBusy:
      return "busy";
    case ErrorKind::kUpstream:
      return "instance_failed";
    case ErrorKind::kTimeout:
      return "timeout";
    case ErrorKind::kRefused:
      return "refused";
    case ErrorKind::kClosed:
      return "closed";
    case ErrorKind::kCancelled:
      return "cancelled";
    case ErrorKind::kResolve:
      return "resolve";
    case ErrorKind::kSystem:
      return "system";
    case ErrorKind::kConfig:
      return "config";
  }
  return "unknown";
}

std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::kClient:
      return "client";
    case Origin::kInstance:
      return "instance";
    case Origin::kSelf:
      return "drover";
  }
  return "unknown";
}

}  // namespace drover
