// put, get and delete.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "file_io.h"
#include "key_guard.h"
#include "store_session.h"
#include "text.h"

namespace freyja::cli {
namespace {

struct PutOptions {
  std::string directory;
  std::string key;
  std::optional<std::string> value;
  std::optional<std::string> file;
  bool sync = false;
  bool escaped = false;
  std::uint64_t segment_bytes = 0;
};

struct GetOptions {
  std::string directory;
  std::string key;
  bool newline = false;
  bool escaped = false;
};

struct DeleteOptions {
  std::string directory;
  std::vector<std::string> keys;
  bool sync = false;
  bool escaped = false;
  bool quiet = false;
};

// An argument as bytes, read as `scan` prints it if `escaped`.
std::expected<std::string, std::string> Argument(const std::string& text, bool escaped) {
  return escaped ? UnescapeField(text) : text;
}

WriteOptions WriteOptionsFor(bool sync) { return {.sync = sync ? Sync::kAlways : Sync::kDefault}; }

Result<std::string> ReadValue(const PutOptions& options) {
  if (options.file || options.value == "-") {
    auto input = InputFile::Open(options.file.value_or("-"));
    if (!input) return std::unexpected(input.error());
    return input->ReadAll(kMaxValueBytes);
  }
  auto value = Argument(*options.value, options.escaped);
  if (!value) {
    return std::unexpected(Status(StatusCode::kInvalidArgument, "VALUE: " + value.error()));
  }
  return *std::move(value);
}

int RunPut(const PutOptions& options) {
  if (options.file.has_value() == options.value.has_value()) {
    return Fail(kExitUsage, options.file ? "put: VALUE and --file exclude each other"
                                         : "put: a VALUE is needed, or --file, or '-' to read it "
                                           "from standard input");
  }
  const auto key = Argument(options.key, options.escaped);
  if (!key) return Fail(kExitUsage, "KEY: " + key.error());
  // Read before the store is opened: a bad file leaves no empty store behind.
  const auto value = ReadValue(options);
  if (!value) return Fail(value.error(), "put");
  return WithStore(options.directory, Access::kCreate, {.segment_bytes = options.segment_bytes},
                   [&](KVStore& store) {
                     const Status status = store.Put(*key, *value, WriteOptionsFor(options.sync));
                     return status.ok() ? kExitOk : Fail(status, options.directory);
                   });
}

int RunGet(const GetOptions& options) {
  const auto key = Argument(options.key, options.escaped);
  if (!key) return Fail(kExitUsage, "KEY: " + key.error());
  return WithStore(options.directory, Access::kRead, {}, [&](KVStore& store) -> int {
    auto value = store.Get(*key);
    if (!value) return Fail(value.error(), options.directory);
    if (!*value) return kExitNothing;
    if (options.newline || ::isatty(STDOUT_FILENO) == 1) **value += '\n';
    return PrintOut(**value);
  });
}

int RunDelete(const DeleteOptions& options) {
  std::vector<std::string> keys;
  for (const std::string& text : options.keys) {
    auto key = Argument(WithoutGuard(text), options.escaped);
    if (!key) return Fail(kExitUsage, "KEY: " + key.error());
    keys.push_back(*std::move(key));
  }
  return WithStore(options.directory, Access::kWrite, {}, [&](KVStore& store) -> int {
    std::size_t deleted = 0;
    Status status;
    for (const std::string& key : keys) {
      const auto existed = store.Delete(key, WriteOptionsFor(options.sync));
      if (!existed) {
        status = existed.error();
        break;
      }
      deleted += *existed ? 1 : 0;
    }
    const int printed =
        options.quiet ? int{kExitOk} : PrintOut(fmt::format("deleted {}\n", deleted));
    if (!status.ok()) return Fail(status, options.directory);
    if (printed != kExitOk) return printed;
    return deleted == 0 ? kExitNothing : kExitOk;
  });
}

void AddEscaped(CLI::App& command, bool* escaped, const std::string& what) {
  command.add_flag("-e,--escaped", *escaped,
                   what + " is written as 'freyja scan' prints it: \\t \\n \\r \\\\ \\xHH");
}

void AddPut(CLI::App& app, int* exit_status) {
  auto options = std::make_shared<PutOptions>();
  CLI::App* put = app.add_subcommand("put", "Store a value under a key; make the store if needed");
  AddDirectory(*put, &options->directory);
  put->add_option("KEY", options->key, "1 byte to 64 KiB")->required();
  put->add_option("VALUE", options->value, "The value, or '-' for standard input");
  put->add_option("-f,--file", options->file, "Read the value from this file, byte for byte");
  put->add_flag("--sync", options->sync, "Fail unless this very write is on the disk");
  AddEscaped(*put, &options->escaped, "KEY (and VALUE)");
  AddSegmentSize(*put, &options->segment_bytes);
  put->footer(
      "Examples:\n"
      "  freyja put db user:1 Ada\n"
      "  freyja put db photo --file cat.jpg\n"
      "  date | freyja put db now -\n"
      "  freyja put db -- -key-with-a-dash -5");
  put->callback([options, exit_status] { *exit_status = RunPut(*options); });
}

void AddGet(CLI::App& app, int* exit_status) {
  auto options = std::make_shared<GetOptions>();
  CLI::App* get = app.add_subcommand("get", "Print the value of a key");
  AddDirectory(*get, &options->directory);
  get->add_option("KEY", options->key, "The key")->required();
  get->add_flag("-n,--newline", options->newline,
                "Print a newline behind the value (always done on a terminal)");
  AddEscaped(*get, &options->escaped, "KEY");
  get->footer(
      "The value is printed byte for byte. If there is no such key, nothing is printed\n"
      "and the exit code is 1.\n\n"
      "Examples:\n"
      "  freyja get db user:1\n"
      "  freyja get db photo > cat.jpg\n"
      "  freyja get --escaped db 'bin\\x00key'");
  get->callback([options, exit_status] { *exit_status = RunGet(*options); });
}

void AddDelete(CLI::App& app, int* exit_status) {
  auto options = std::make_shared<DeleteOptions>();
  CLI::App* command = app.add_subcommand("delete", "Delete keys");
  AddDirectory(*command, &options->directory);
  command->add_option("KEY", options->keys, "The keys")->required();
  command->add_flag("--sync", options->sync, "Fail unless each delete is on the disk");
  AddEscaped(*command, &options->escaped, "KEY");
  command->add_flag("-q,--quiet", options->quiet, "Do not print how many were deleted");
  command->footer(
      "Prints how many of the keys were there and are deleted now. If none was, the\n"
      "exit code is 1.\n\n"
      "Examples:\n"
      "  freyja delete db user:1 user:2\n"
      "  freyja delete --escaped db 'bin\\x00key'");
  command->callback([options, exit_status] {
    options->directory = WithoutGuard(options->directory);
    *exit_status = RunDelete(*options);
  });
}

}  // namespace

void AddPointCommands(CLI::App& app, int* exit_status) {
  AddPut(app, exit_status);
  AddGet(app, exit_status);
  AddDelete(app, exit_status);
}

}  // namespace freyja::cli
