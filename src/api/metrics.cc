// Our own serialiser: prometheus-cpp's would make every program that embeds the store link
// one more shared library (Debian packages it together with a web server) for the few lines
// below, which promtool checks.
#include "freyja/metrics.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <exception>
#include <new>
#include <utility>

#include "api/metrics_table.h"

namespace freyja {
namespace {

using api::Histogram;
using api::Metric;
using api::MetricSource;
using api::MetricType;
using api::Sample;

struct LabelledSource {
  MetricSource source;
  std::string_view store_label;
};

std::string_view TypeName(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
  }
  return "untyped";
}

// Bytes of the UTF-8 character that `text` begins with; 0 if it begins with none.
std::size_t Utf8CharacterBytes(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const std::size_t bytes = lead < 0x80                   ? 1
                            : lead >= 0xC2 && lead < 0xE0 ? 2
                            : lead >= 0xE0 && lead < 0xF0 ? 3
                            : lead >= 0xF0 && lead < 0xF5 ? 4
                                                          : 0;
  if (bytes == 0 || bytes > text.size()) return 0;
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Longer than needed, a surrogate, or beyond the last code point.
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) >= 0xA0) ||
      (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) >= 0x90)) {
    return 0;
  }
  return bytes;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t bytes = Utf8CharacterBytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

void AppendNumber(std::uint64_t value, std::string& out) { out += std::to_string(value); }

// The shortest text that reads back as the same number, in every locale.
void AppendNumber(double value, std::string& out) {
  std::array<char, 32> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  static_cast<void>(error);  // 32 characters hold every double
  out.append(text.data(), end);
}

void AppendLabel(std::string_view name, std::string_view value, std::string& out) {
  out += out.ends_with('{') ? "" : ",";
  out += name;
  out += "=\"";
  for (const char c : value) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  out += '"';
}

class SampleWriter {
 public:
  SampleWriter(const Metric& metric, std::string_view store_label, std::string& out)
      : metric_(metric), store_label_(store_label), out_(out) {}

  void Write(const Sample& sample) {
    label_value_ = sample.label_value;
    std::visit([this](const auto& value) { WriteValue(value); }, sample.value);
  }

 private:
  template <typename Number>
  void WriteLine(std::string_view suffix, std::string_view bound, Number value) {
    out_ += metric_.name;
    out_ += suffix;
    if (!store_label_.empty() || !label_value_.empty() || !bound.empty()) {
      out_ += '{';
      if (!store_label_.empty()) AppendLabel("store", store_label_, out_);
      if (!label_value_.empty()) AppendLabel(metric_.label, label_value_, out_);
      if (!bound.empty()) AppendLabel("le", bound, out_);
      out_ += '}';
    }
    out_ += ' ';
    AppendNumber(value, out_);
    out_ += '\n';
  }

  void WriteValue(std::uint64_t value) { WriteLine("", "", value); }
  void WriteValue(double value) { WriteLine("", "", value); }
  void WriteValue(const Histogram& histogram) {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < histogram.bounds.size(); ++i) {
      count += histogram.counts[i];
      std::string bound;
      AppendNumber(histogram.bounds[i], bound);
      WriteLine("_bucket", bound, count);
    }
    count += histogram.counts.back();
    WriteLine("_bucket", "+Inf", count);
    WriteLine("_sum", "", histogram.sum);
    WriteLine("_count", "", count);
  }

  const Metric& metric_;
  std::string_view store_label_;
  std::string_view label_value_;
  std::string& out_;
};

Status CheckLabels(std::span<const LabelledSource> sources) {
  std::vector<std::string_view> labels;
  for (const LabelledSource& source : sources) {
    if (!IsUtf8(source.store_label)) {
      return Status(StatusCode::kInvalidArgument, "the label of a store is not UTF-8");
    }
    labels.push_back(source.store_label);
  }
  std::ranges::sort(labels);
  const auto twice = std::ranges::adjacent_find(labels);
  if (twice == labels.end()) return Status::Ok();
  return Status(StatusCode::kInvalidArgument,
                "two stores have the label '" + std::string(*twice) + "'");
}

Result<std::string> Text(std::span<const LabelledSource> sources) {
  if (Status checked = CheckLabels(sources); !checked.ok()) {
    return std::unexpected(std::move(checked));
  }
  std::string out;
  for (const Metric& metric : api::MetricsTable()) {
    out.append("# HELP ").append(metric.name).append(" ").append(metric.help).append("\n");
    out.append("# TYPE ").append(metric.name).append(" ").append(TypeName(metric.type));
    out += '\n';
    for (const LabelledSource& labelled : sources) {
      SampleWriter writer(metric, labelled.store_label, out);
      for (const Sample& sample : api::Collect(metric, labelled.source)) writer.Write(sample);
    }
  }
  return out;
}

// Nothing is thrown across the API.
template <typename Call>
Result<std::string> Guarded(Call&& call) {
  try {
    return call();
  } catch (const std::exception&) {
    // Only memory can run out here; the message needs none itself.
    return std::unexpected(Status(StatusCode::kOutOfMemory, "out of memory"));
  }
}

}  // namespace

Result<std::string> PrometheusText(const Stats& stats, std::span<const SegmentInfo> segments,
                                   std::string_view store_label) {
  return Guarded([&] {
    const LabelledSource source{.source = {.stats = stats, .segments = segments},
                                .store_label = store_label};
    return Text({&source, 1});
  });
}

Result<std::string> PrometheusText(std::span<const StoreMetrics> stores) {
  return Guarded([&] {
    std::vector<LabelledSource> sources;
    for (const StoreMetrics& store : stores) {
      sources.push_back({.source = {.stats = store.stats, .segments = store.segments},
                         .store_label = store.store_label});
    }
    return Text(sources);
  });
}

}  // namespace freyja
