#!/usr/bin/env python3
"""Checks small models of the lock-free protocols against the C++ memory model.

    check_models.py FILE...
    check_models.py --self-test         on the textbook's examples

Each file holds one model: threads of a few atomic operations, what is assumed of their
results, and what must never be. All candidate executions are enumerated (each read from
each write, each order of the writes to a location) and those kept that the memory model
allows: RC11 (Lahav, Vafeiadis, Kang, Hur, Dreyer: "Repairing sequential consistency in
C/C++11", PLDI 2017) with the release sequences of C++20. A model must hold as it is
written, and must fail with each of its `weakened` operations: so it is known that the
check can see what the stronger order is there for.

    init LOCATION=VALUE ...             anything else is 0
    thread NAME                         the operations below, in this order
      [TAG:] REG = load LOC ORDER
      [TAG:] store LOC VALUE ORDER
      [TAG:] REG = cas LOC FROM TO ORDER       one that succeeds
      [TAG:] REG = add LOC VALUE ORDER         REG is what it was before
      [TAG:] heavy                             membarrier(2): a barrier on every thread, at some
                                               point of each
      [TAG:] light                             a barrier for the compiler only: where others' heavy
                                               ones may stand
    assume EXPRESSION                   over registers; other executions don't count
    never EXPRESSION                    or: never race (on operations of order `plain`)
    weakened TAG ORDER                  with this change the model must fail; `none`: without it
"""
import itertools
import re
import sys

ACQUIRES = {"acquire", "acq_rel", "seq_cst"}
RELEASES = {"release", "acq_rel", "seq_cst"}
ORDERS = ACQUIRES | RELEASES | {"relaxed", "plain"}
OPERATION = re.compile(r"(?:(\w+):\s+)?(?:(\w+)\s*=\s*)?(load|store|cas|add)\s+(.*)")
FENCE = re.compile(r"(?:(\w+):\s+)?(light|heavy)")


class Event:
    def __init__(self, thread, kind, location, values, order, register=None, tag=None):
        self.thread, self.kind, self.location = thread, kind, location
        self.values, self.order, self.register, self.tag = values, order, register, tag
        self.reads = kind in ("load", "cas", "add")
        self.writes = kind in ("store", "cas", "add")


class Model:
    def __init__(self, text):
        self.init, self.threads, self.assumed = {}, [], []
        self.never, self.weakened = [], []
        for line in (raw.split("#")[0].strip() for raw in text.splitlines()):
            if line:
                self.parse(line)
        fenced = any(event.kind == "heavy" for thread in self.threads for event in thread)
        if fenced and "race" in self.never:
            raise ValueError("whether there is a race is up to C++, which has no such fences")
        for event in (event for thread in self.threads for event in thread):
            if event.location is not None:
                self.init.setdefault(event.location, 0)

    def parse(self, line):
        word, _, rest = line.partition(" ")
        if word == "init":
            pairs = (pair.split("=") for pair in rest.split())
            self.init.update({name: int(value) for name, value in pairs})
        elif word == "thread":
            self.threads.append([])
        elif word == "assume":
            self.assumed.append(rest)
        elif word == "never":
            self.never.append(rest)
        elif word == "weakened":
            self.weakened.append(tuple(rest.split()))
        elif match := FENCE.fullmatch(line):
            tag, kind = match.groups()
            self.threads[-1].append(Event(len(self.threads) - 1, kind, None, [], None, tag=tag))
        else:
            match = OPERATION.fullmatch(line)
            if not match or not self.threads:
                raise ValueError(f"can't read: {line}")
            tag, register, kind, arguments = match.groups()
            location, *values, order = arguments.split()
            if order not in ORDERS:
                raise ValueError(f"no such order: {line}")
            thread = len(self.threads) - 1
            self.threads[-1].append(
                Event(thread, kind, location, [int(v) for v in values], order, register, tag))

    def events(self, tag=None, order=None):
        """Initial writes, then the threads' operations; `tag` is given another order."""
        events = [Event(-1, "store", name, [value], "plain") for name, value in self.init.items()]
        found = tag is None
        for event in (event for thread in self.threads for event in thread):
            found |= event.tag == tag
            if tag and event.tag == tag and order == "none":
                continue
            events.append(Event(event.thread, event.kind, event.location, event.values,
                                order if tag and event.tag == tag else event.order,
                                event.register, event.tag))
        if not found:
            raise ValueError(f"no operation is tagged {tag}")
        return events


def closure(relation):
    """The transitive closure of a set of pairs."""
    successors = {}
    for a, b in relation:
        successors.setdefault(a, set()).add(b)
    closed = set()
    for start in successors:
        pending, seen = [start], set()
        while pending:
            for following in successors.get(pending.pop(), ()):
                if following not in seen:
                    seen.add(following)
                    pending.append(following)
        closed |= {(start, end) for end in seen}
    return closed


def is_acyclic(relation):
    return all(a != b for a, b in closure(relation))


class Execution:
    """One candidate: where each read reads from, the order of writes, and what was ordered by
    heavy fences."""

    def __init__(self, events, read_from, write_orders, fenced):
        self.events, self.read_from, self.fenced = events, read_from, fenced
        self.sequenced = {(a, b) for a in range(len(events)) for b in range(len(events))
                          if a < b and (events[a].thread in (-1, events[b].thread)
                                        and events[b].thread != -1)}
        self.rf = {(write, read) for read, write in read_from.items()}
        self.mo = {pair for order in write_orders for pair in itertools.combinations(order, 2)}
        self.rb = {(read, later) for read, write in read_from.items()
                   for earlier, later in self.mo if earlier == write and later != read}

    def values(self):
        """What each event wrote and read; None if a read feeds on itself or a cas fails."""
        if not is_acyclic(self.sequenced | self.rf):
            return None
        wrote, read = {}, {}
        pending = list(range(len(self.events)))
        while pending:
            at = pending.pop(0)
            event = self.events[at]
            if event.reads:
                if self.read_from[at] not in wrote:
                    pending.append(at)
                    continue
                read[at] = wrote[self.read_from[at]]
            if event.kind == "store":
                wrote[at] = event.values[0]
            elif event.kind == "cas":
                if read[at] != event.values[0]:
                    return None
                wrote[at] = event.values[1]
            elif event.kind == "add":
                wrote[at] = read[at] + event.values[0]
        return read

    def happens_before(self):
        synchronised = set()
        for read, write in self.read_from.items():
            if self.events[read].order not in ACQUIRES:
                continue
            head = write  # back along the release sequence
            while True:
                if self.events[head].order in RELEASES:
                    synchronised.add((head, read))
                if self.events[head].kind not in ("cas", "add"):
                    break
                head = self.read_from[head]
        return closure(self.sequenced | synchronised | self.fenced)

    def is_allowed(self, before):
        together = closure(self.rf | self.mo | self.rb)
        if any(a == b for a, b in together) or any((b, a) in together for a, b in before):
            return False
        for at, event in enumerate(self.events):  # nothing between the halves of a cas or add
            if event.kind in ("cas", "add") and any(
                    (at, other) in self.rb and (other, at) in self.mo
                    for other in range(len(self.events))):
                return False
        return is_acyclic(self.sequentially_consistent(before))

    def sequentially_consistent(self, before):
        def same(a, b):
            return self.events[a].location == self.events[b].location
        elsewhere = {(a, b) for a, b in self.sequenced if not same(a, b)}
        chained = {(a, d) for a, b in elsewhere for c, d in elsewhere if (b, c) in before}
        order = (self.sequenced | chained | {(a, b) for a, b in before if same(a, b)}
                 | self.mo | self.rb)
        strong = {at for at, event in enumerate(self.events) if event.order == "seq_cst"}
        return {(a, b) for a, b in order if a in strong and b in strong}

    def races(self, before):
        for a, b in itertools.combinations(range(len(self.events)), 2):
            one, other = self.events[a], self.events[b]
            if (one.location == other.location and (one.writes or other.writes)
                    and "plain" in (one.order, other.order) and one.thread != other.thread
                    and (a, b) not in before and (b, a) not in before):
                return True
        return False


def ways_of_fences(events):
    """Of each heavy fence and each light one of another thread either comes first, and what stands
    before that one happens before what stands behind the other. The pairs, for each way."""
    def before(at):
        return [i for i, event in enumerate(events) if event.thread == events[at].thread and i < at]

    def behind(at):
        return [i for i, event in enumerate(events) if event.thread == events[at].thread and i > at]

    ways = [set()]
    for heavy, light in itertools.product(range(len(events)), repeat=2):
        if ((events[heavy].kind, events[light].kind) != ("heavy", "light")
                or events[heavy].thread == events[light].thread):
            continue
        ways = [way | set(itertools.product(before(first), behind(second)))
                for way in ways for first, second in ((heavy, light), (light, heavy))]
    return [way for way in ways if is_acyclic(way)]


def executions(events):
    reads = [at for at, event in enumerate(events) if event.reads]
    writes = {}
    for at, event in enumerate(events):
        if event.writes:
            writes.setdefault(event.location, []).append(at)
    sources = [[w for w in writes[events[at].location] if w != at] for at in reads]
    orders = [[(order[0], *rest) for order in [all_writes] for rest in
               itertools.permutations(all_writes[1:])] for all_writes in writes.values()]
    for chosen in itertools.product(*sources):
        for write_orders in itertools.product(*orders):
            for fenced in ways_of_fences(events):
                yield Execution(events, dict(zip(reads, chosen)), write_orders, fenced)


def check(model, tag=None, order=None):
    """Number of allowed executions that count, and what went wrong in one of them."""
    events = model.events(tag, order)
    counted, wrong = 0, None
    for execution in executions(events):
        read = execution.values()
        if read is None:
            continue
        registers = {events[at].register: value for at, value in read.items()}
        if not all(eval(text, {}, registers) for text in model.assumed):
            continue
        before = execution.happens_before()
        if not execution.is_allowed(before):
            continue
        counted += 1
        for never in model.never:
            if execution.races(before) if never == "race" else eval(never, {}, registers):
                wrong = f"{never}, with {registers}"
    return counted, wrong


def check_file(name):
    with open(name, encoding="utf-8") as file:
        model = Model(file.read())
    counted, wrong = check(model)
    problems = []
    if not model.never or not model.weakened:
        problems.append("it says nothing")
    if counted == 0:
        problems.append("no execution counts")
    if wrong:
        problems.append(wrong)
    for tag, order in model.weakened:
        if check(model, tag, order)[1] is None:
            problems.append(f"holds even with {tag} {order}")
    verdict = "; ".join(problems) or f"holds, and fails in each of {len(model.weakened)} weakenings"
    print(f"{name.rsplit('/', 1)[-1]}: {counted} executions: {verdict}")
    return not problems


SB = """
thread one
  store x 1 {0}
  r1 = load y {1}
thread two
  store y 1 {0}
  r2 = load x {1}
never r1 == 0 and r2 == 0
"""
MP = """
thread one
  store x 1 {0}
  store y 1 {1}
thread two
  r1 = load y {2}
  r2 = load x {0}
never r1 == 1 and r2 == 0
"""
IRIW = """
thread one
  store x 1 {0}
thread two
  store y 1 {0}
thread three
  r1 = load x {1}
  r2 = load y {1}
thread four
  r3 = load y {1}
  r4 = load x {1}
never r1 == 1 and r2 == 0 and r3 == 1 and r4 == 0
"""
COHERENCE = """
thread one
  store x 1 relaxed
thread two
  r1 = load x relaxed
  r2 = load x relaxed
never r1 == 1 and r2 == 0
"""
INCREMENTS = """
thread one
  r1 = add x 1 relaxed
thread two
  r2 = add x 1 relaxed
never r1 == r2
"""
SEQUENCE = """
thread one
  store x 1 plain
  store y 1 {0}
thread two
  r1 = cas y 1 2 relaxed
thread three
  r2 = load y acquire
  r3 = load x plain
assume r2 == 2
never race
"""
SB_FENCED = """
thread one
  store x 1 relaxed
  {0}
  r1 = load y relaxed
thread two
  store y 1 relaxed
  {1}
  r2 = load x relaxed
never r1 == 0 and r2 == 0
"""
# Each of the others may pass the barrier before the other does.
NOT_AT_ONE_MOMENT = """
thread one
  store x 1 relaxed
  light
  r1 = load flag relaxed
thread two
  store z 1 relaxed
  light
  r2 = load x relaxed
thread three
  store flag 1 relaxed
  heavy
  r3 = load z relaxed
assume r1 == 0 and r3 == 0
never r2 == 0
"""
# Whether the outcome is forbidden is known for each.
KNOWN = [
    (True, SB.format("seq_cst", "seq_cst")),
    (False, SB.format("release", "acquire")),
    (False, SB.format("seq_cst", "acquire")),
    (True, MP.format("relaxed", "release", "acquire")),
    (True, MP.format("plain", "seq_cst", "seq_cst")),
    (False, MP.format("relaxed", "relaxed", "acquire")),
    (False, MP.format("relaxed", "release", "relaxed")),
    (True, IRIW.format("seq_cst", "seq_cst")),
    (False, IRIW.format("release", "acquire")),
    (True, COHERENCE),
    (True, INCREMENTS),
    (True, SEQUENCE.format("release")),
    (False, SEQUENCE.format("relaxed")),
    (True, SB_FENCED.format("light", "heavy")),
    (False, SB_FENCED.format("", "heavy")),
    (False, SB_FENCED.format("light", "light")),
    (False, NOT_AT_ONE_MOMENT),
]


def self_test():
    right = True
    for holds, text in KNOWN:
        counted, wrong = check(Model(text))
        if counted == 0 or (wrong is None) != holds:
            right = False
            print(f"expected {'to hold' if holds else 'to fail'}, but: {wrong}{text}")
    print(f"{len(KNOWN)} examples" if right else "the checker is wrong")
    return right


def main(names):
    if names == ["--self-test"]:
        return 0 if self_test() else 1
    if not names:
        print(__doc__)
        return 2
    return 0 if all([check_file(name) for name in names]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
