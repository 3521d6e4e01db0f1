// From store to store: what the first one has fetched the others need not fetch. Drover reads the
// blobs of the model from the first one's directory and uploads them to an instance of each other
// store, which checks their digests; the pull that follows finds them in place and fetches only the
// manifest. So nothing is needed of Ollama but what it has, and where anything fails the pull does
// the whole work as it would have done anyway.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "jobs/state.h"
#include "net/worker.h"
#include "store/model_files.h"
#include "wire/dialect.h"

namespace drover::jobs {
namespace {

// In memory at once for each store. Large enough that a disk and a network of 10 Gbit/s are not
// kept waiting by the change of threads for each.
constexpr std::size_t kPiece = 1024 * 1024;
// A read that takes so long is a file system that has gone away.
constexpr Duration kReadPatience = std::chrono::minutes(1);
constexpr Duration kStall = std::chrono::seconds(30);
// Ollama itself tells of progress so often.
constexpr Duration kTellAgain = std::chrono::milliseconds(60);
constexpr std::size_t kShownDigits = 12;

Error failed(std::string what) {
  return {ErrorKind::kUpstream, Origin::kInstance, Retry::kNever, std::move(what)};
}

}  // namespace

// Reads for one leg, on a thread of its own. What the thread touches it shares.
class BlobReader {
 public:
  BlobReader(net::Loop& loop, net::Cancel& cancel, std::string directory)
      : loop_(loop),
        cancel_(cancel),
        done_(loop),
        shared_(std::make_shared<Shared>(std::move(directory))),
        worker_(loop, "drover-copy") {}

  net::Task<Result<std::string>> manifest(const ModelName& model) {
    Work work = [model](Shared& shared) -> Result<void> {
      Result<std::string> text = shared.files.manifest(model);
      if (!text) return std::move(text).error();
      shared.text = std::move(*text);
      return {};
    };
    Result<void> read = co_await run(std::move(work));
    if (!read) co_return std::move(read).error();
    co_return std::move(shared_->text);
  }
  net::Task<Result<void>> open(const wire::ManifestBlob& blob) {
    Work work = [blob](Shared& shared) -> Result<void> {
      shared.blob.reset();
      Result<store::BlobFile> file = shared.files.open(blob.digest, blob.bytes);
      if (!file) return std::move(file).error();
      shared.blob.emplace(std::move(*file));
      return {};
    };
    Result<void> opened = co_await run(std::move(work));
    co_return opened;
  }
  // The next kPiece bytes; they live until the next call. Precondition: open() succeeded.
  net::Task<Result<std::string_view>> piece(std::uint64_t offset) {
    Work work = [offset](Shared& shared) -> Result<void> {
      shared.text.resize(kPiece);
      Result<std::size_t> count = shared.blob->read(offset, shared.text);
      if (!count) return std::move(count).error();
      shared.text.resize(*count);
      return {};
    };
    Result<void> read = co_await run(std::move(work));
    if (!read) co_return std::move(read).error();
    co_return std::string_view(shared_->text);
  }

 private:
  struct Shared {
    explicit Shared(std::string directory) : files(std::move(directory)) {}
    store::ModelFiles files;
    std::optional<store::BlobFile> blob;
    std::string text;
    Result<void> outcome;
  };
  using Work = std::function<Result<void>(Shared&)>;

  net::Task<Result<void>> run(Work work) {
    if (worker_.busy()) co_return failed("the disk does not answer");
    done_.clear();
    worker_.run([shared = shared_, work = std::move(work)] { shared->outcome = work(*shared); },
                [this] { done_.set(); });
    const net::WaitResult waited = co_await done_.wait(loop_.now() + kReadPatience, &cancel_);
    if (waited != net::WaitResult::kReady) co_return failed("the disk does not answer");
    co_return shared_->outcome;
  }

  net::Loop& loop_;
  net::Cancel& cancel_;
  net::Event done_;
  std::shared_ptr<Shared> shared_;
  net::Worker worker_;
};

// The first store that can be read and is there. One that has the model already need fetch the
// least.
void Jobs::State::choose_source(Job& job) {
  if (!settings.copies_between_stores || job.legs.size() < 2) return;
  const std::shared_ptr<const core::FleetView> fleet = engine.view();
  for (const Leg& leg : job.legs) {
    const bool can = !leg.store->directory.empty() && writer_of(*leg.store, *fleet, {}) != nullptr;
    if (!can) continue;
    const bool has = has_model(*leg.store, *fleet, job.order.model) == Has::kYes;
    if (job.source == nullptr || has) job.source = &leg;
    if (has) return;
  }
}

net::Task<void> Jobs::State::bring_blobs(std::shared_ptr<Job> job, Leg& leg) {
  if (!job->source->fared.done || job->cancel.triggered()) co_return;
  Result<void> copied = co_await copy_blobs(*job, leg);
  leg.cancel.reset();
  if (copied || job->cancel.triggered()) co_return;
  const std::string why = std::move(copied).error().message;
  log.warn("model is fetched again instead of copied",
           {{"model", std::string_view(job->order.model.text())},
            {"from", std::string_view(job->source->fared.name)},
            {"to", std::string_view(leg.fared.name)},
            {"why", std::string_view(why)}});
}

net::Task<Result<void>> Jobs::State::copy_blobs(Job& job, Leg& leg) {
  const Member* const writer = writer_of(*leg.store, *engine.view(), {});
  if (writer == nullptr) co_return failed("nobody of the store answers");
  leg.instance = writer->id;
  BlobReader reader(home(), leg.cancel, job.source->store->directory);
  Result<std::string> text = co_await reader.manifest(job.order.model);
  if (!text) co_return std::move(text).error();
  Result<std::vector<wire::ManifestBlob>> blobs = wire::read_manifest(*text);
  if (!blobs) co_return std::move(blobs).error();
  for (const wire::ManifestBlob& blob : *blobs) {
    Result<bool> there = co_await has_blob(leg, blob.digest);
    if (!there) co_return std::move(there).error();
    if (*there) continue;
    Result<void> copied = co_await copy_blob(job, leg, reader, blob);
    if (!copied) co_return copied;
  }
  co_return Result<void>();
}

net::Task<Result<bool>> Jobs::State::has_blob(Leg& leg, const std::string& digest) {
  const net::HostPort address = member_of(*leg.instance)->address;
  net::HttpCall call(home(), &leg.cancel);
  Result<void> done = co_await call.connect(resolver, address, home().now() + settings.connect);
  const std::string request = fmt::format(
      "HEAD /api/blobs/{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: drover\r\nConnection: close\r\n\r\n",
      digest, address.to_string());
  if (done) done = co_await call.send(request, kStall);
  if (done) done = co_await call.read_head(wire::Method::kHead, home().now() + settings.brief);
  if (!done) co_return std::move(done).error();
  co_return call.status() == 200;
}

net::Task<Result<void>> Jobs::State::copy_blob(Job& job, Leg& leg, BlobReader& reader,
                                               const wire::ManifestBlob& blob) {
  Result<void> done = co_await reader.open(blob);
  if (!done) co_return done;
  const net::HostPort address = member_of(*leg.instance)->address;
  net::HttpCall call(home(), &leg.cancel);
  done = co_await call.connect(resolver, address, home().now() + settings.connect);
  const std::string head = fmt::format(
      "POST /api/blobs/{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: drover\r\nContent-Length: {}\r\n"
      "Connection: close\r\n\r\n",
      blob.digest, address.to_string(), blob.bytes);
  if (done) done = co_await call.send(head, kStall);
  wire::ProgressLine line{
      fmt::format("pulling {}", blob.digest.substr(blob.digest.find(':') + 1, kShownDigits)),
      blob.digest,
      blob.bytes,
      0,
      {}};
  Instant told{};
  // An answer before the end says that it wants no more.
  while (done && line.completed < blob.bytes && !call.has_input()) {
    Result<std::string_view> piece = co_await reader.piece(line.completed);
    if (!piece) co_return std::move(piece).error();
    if (piece->empty()) co_return failed("a blob became shorter while it was read");
    done = co_await call.send(*piece, kStall);
    if (!done) break;
    line.completed += piece->size();
    engine.metrics().blob_bytes_copied.add(piece->size());
    if (home().now() - told < kTellAgain && line.completed < blob.bytes) continue;
    told = home().now();
    std::vector<Told> lines;
    job.merge.take(leg.index, line, {}, lines);
    tell(job, lines);
  }
  // Whoever answered and closed has said why.
  if (!done && !call.has_input()) co_return done;
  done = co_await call.read_head(wire::Method::kPost, home().now() + settings.silence);
  if (!done) co_return done;
  if (call.status() < 300) co_return Result<void>();
  std::string body;
  (void)co_await call.read_more(body, home().now() + settings.brief);
  Result<wire::ProgressLine> said = wire::read_progress(body);
  const bool spoke = said && !said->error.empty();
  co_return failed(fmt::format("blob {}: {}", blob.digest,
                               spoke ? said->error : fmt::format("status {}", call.status())));
}

}  // namespace drover::jobs
