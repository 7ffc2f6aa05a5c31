#include "freyja/iterator.h"

#include <new>
#include <utility>

#include "engine/iterator.h"

namespace freyja {

PinnedValue::PinnedValue(std::unique_ptr<engine::PinnedRecord> pin, std::string_view value)
    : pin_(std::move(pin)), value_(value) {}
PinnedValue::PinnedValue(PinnedValue&&) noexcept = default;
PinnedValue& PinnedValue::operator=(PinnedValue&&) noexcept = default;
PinnedValue::~PinnedValue() = default;

Iterator::Iterator(std::unique_ptr<engine::IteratorImpl> impl) : impl_(std::move(impl)) {}
Iterator::Iterator(Iterator&&) noexcept = default;
Iterator& Iterator::operator=(Iterator&&) noexcept = default;
Iterator::~Iterator() = default;

void Iterator::Next() { impl_->Next(); }
bool Iterator::Valid() const { return impl_->valid(); }
std::string_view Iterator::key() const { return impl_->record().key; }
std::string_view Iterator::value() const { return impl_->record().value; }
std::uint64_t Iterator::expires_at_ms() const { return impl_->record().expires_at_ms; }
const Status& Iterator::status() const { return impl_->status(); }

}  // namespace freyja
