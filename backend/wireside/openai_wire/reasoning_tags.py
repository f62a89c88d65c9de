"""Separates reasoning between tags from the text of an answer. No I/O.

Reasoning models write ``<think>…</think>`` into their text; most services move that to a separate
field, but not all do. The following count as tags:

- An opening tag at the beginning of the answer, or at the beginning of a line outside code.
  Everything up to its closing tag is reasoning; without a closing tag, the rest of the answer is.
- A closing tag without an opening one, outside code: the model's chat template had already opened
  the reasoning. The text before it has been sent as text and can't be changed (answers are
  append-only); the tag becomes a horizontal rule. ``unopened`` is set, so that the caller can parse
  the model's next answer with ``inside``. In an answer that is parsed as a whole, the text before
  the tag becomes reasoning.
- The channels of OpenAI's harmony format (gpt-oss), if a server does not parse them: ``analysis``
  is reasoning, a message to a tool is a tool call, all others are text.

A tag in a code span, in a code block, in quotation marks or inside a line of text is text.

The splitter is a state machine: ``_read`` is the method for the current state (start, text,
reasoning, harmony header, tool call); it consumes the buffer and returns False if it needs more
input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from wireside.messages import Delta, ReasoningDelta, TextDelta, ToolDelta

RULE = "\n\n---\n\n"
"""Replaces a closing tag whose reasoning has been sent as text."""

GAP = "\n\n"
"""Separates two blocks of reasoning, or of text, in one answer."""

MAX_LINE_CHARS = 2_000
MAX_HEADER_CHARS = 300
MAX_CALL_CHARS = 1024 * 1024
"""Maximum length of a tool call's arguments in the harmony format; the rest is dropped."""

OFF = "off"

_FLAGS = re.IGNORECASE | re.ASCII


@dataclass(frozen=True)
class TagPair:
    """An opening and a closing tag, case-insensitive."""

    opening: str
    closing: str

    @cached_property
    def end(self) -> re.Pattern[str]:
        """Matches the closing tag."""
        return re.compile(re.escape(self.closing), _FLAGS)


def _element(name: str) -> TagPair:
    return TagPair(f"<{name}>", f"</{name}>")


_NAMES = (
    *("think", "thinking", "thought", "thoughts", "reasoning", "reason", "reflection"),
    *("scratchpad", "inner_monologue", "antThinking", "seed:think", "longcat_think", "mm:think"),
)

KNOWN_PAIRS: tuple[TagPair, ...] = (
    *map(_element, _NAMES),
    TagPair("[THINK]", "[/THINK]"),  # Magistral
    TagPair("◁think▷", "◁/think▷"),  # Kimi
    TagPair("<|think|>", "<|/think|>"),
    TagPair("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThinker
    TagPair("<|START_THINKING|>", "<|END_THINKING|>"),  # Cohere
    TagPair("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    TagPair("<unused94>thought", "<unused95>"),  # MedGemma
    TagPair("<|channel>thought", "<channel|>"),  # Gemma
)

_ANSWERS = {  # tags around the answer's text
    "<|begin_of_solution|>": "<|end_of_solution|>",
    "<|start_response|>": "<|end_response|>",
    "<|start_text|>": "<|end_text|>",
    "<answer>": "</answer>",  # Hunyuan; only after reasoning, else it is text
}

_BARE_HARMONY = TagPair("analysis", "assistantfinal")
"""The harmony format of a server that omits its special tokens.

The opening word may also be ordinary text. If no closing one follows, the answer is repeated as
text at its end.
"""
_BARE_OPENING = re.compile(r"analysis(?=[A-Z“\"])")

_HARMONY = TagPair("<|channel|>", "<|end|>")
_HARMONY_STARTS = ("<|start|>assistant", "<|channel|>")
_HARMONY_ENDS = ("<|end|>", "<|return|>", "<|call|>")
_HARMONY_END = re.compile(r"<\|(?:end|return|call)\|>|(?=<\|(?:start|channel)\|>)")
_HARMONY_MESSAGE = "<|message|>"
_HARMONY_TOKEN_CHARS = len("<|channel|>")

_QUOTES = dict(zip("\"'`([“‘„«‹「『（《", "\"'`)]”’“»›」』）》", strict=True))


class ReasoningTags:
    """The tags to detect: the known ones and ``further`` ones.

    Each of ``further`` is an element's name (``plan`` for ``<plan>…</plan>``) or an opening and a
    closing tag separated by a space. A single ``off`` disables the detection.

    Raises:
        ValueError: an entry of ``further`` is neither.
    """

    def __init__(self, further: Iterable[str] = ()) -> None:
        further = tuple(further)
        self.is_off = further == (OFF,)
        pairs = () if self.is_off else (*KNOWN_PAIRS, *map(_pair_in, further))
        self._opening = {pair.opening.lower(): pair for pair in pairs}
        self._closing = {pair.closing.lower(): pair for pair in pairs}
        words = {*self._opening, *self._closing, *_ANSWERS, *_ANSWERS.values()}
        words |= {*_HARMONY_STARTS, *_HARMONY_ENDS}
        self._beginnings = {word[:length] for word in words for length in range(len(word))}
        self._longest = max(map(len, words))
        firsts = {char for word in words for char in (word[0], word[0].upper())}
        self.signs = re.compile("[" + "".join(map(re.escape, sorted({*firsts, *"\n`~"}))) + "]")
        """Matches a character that may begin a tag, code or a line."""
        by_length = sorted(words, key=len, reverse=True)
        self.word = re.compile("|".join(map(re.escape, by_length)), _FLAGS)
        """Matches a tag."""

    def opened_by(self, word: str) -> TagPair | None:
        """Return the pair whose opening tag ``word`` is, or None."""
        return self._opening.get(word.lower())

    def closed_by(self, word: str) -> TagPair | None:
        """Return the pair whose closing tag ``word`` is, or None."""
        return self._closing.get(word.lower())

    def may_begin(self, text: str, at: int = 0) -> bool:
        """Whether ``text`` from ``at`` on is an incomplete tag."""
        if len(text) - at >= self._longest:
            return False
        return text[at:].lower() in self._beginnings


def _pair_in(entry: str) -> TagPair:
    words = entry.split()
    if len(words) == 1 and re.fullmatch(r"[\w:.-]+", words[0]):
        return _element(words[0])
    if len(words) == 2 and words[0] != words[1]:
        return TagPair(words[0], words[1])
    raise ValueError(f"{entry!r} is neither a tag's name nor an opening and a closing tag")


KNOWN_TAGS = ReasoningTags()


class ReasoningSplitter:
    """Splits the text of one answer into deltas, independently of how the text is chunked.

    ``inside``: the answer begins inside the reasoning of this pair. If the closing tag is missing,
    the answer is repeated as text at the end, and ``was_not_inside`` is set.
    ``is_whole``: the first ``feed`` contains the whole answer.

    Only input that may be part of a tag is buffered: its beginning, a run of backticks, white space
    at the beginning of an answer and at the end of reasoning.
    """

    def __init__(
        self,
        tags: ReasoningTags = KNOWN_TAGS,
        *,
        inside: TagPair | None = None,
        is_whole: bool = False,
    ) -> None:
        self.unopened: TagPair | None = None
        self.was_not_inside = False
        self._tags = tags
        self._is_whole = is_whole
        self._is_all = is_whole  # the buffer contains the rest of the answer
        self._buffer = ""
        self._deltas: list[Delta] = []
        self._read: Callable[[], bool] = self._read_plain if tags.is_off else self._read_start
        self._pair = inside or KNOWN_PAIRS[0]
        self._guess: list[str] | None = [] if inside else None  # text that may not be reasoning
        self._previous = "\n"  # the character before the buffer
        self._code = _Code()
        self._line = ""  # the current line of reasoning, up to the buffer
        self._mentioned: set[str] = set()  # closing tags whose opening ones were text
        self._left_out: set[str] = set()  # expected closing tags around the answer
        self._has_text = False  # other than white space
        self._has_reasoning = False  # in any form
        self._follows_tag = False  # white space between a tag and the text is dropped
        self._wrote_reasoning = False
        self._begins_block = False
        self._needs_gap = False
        self._recipient = ""
        self._call = ""

    def feed(self, text: str) -> list[Delta]:
        """Parse a chunk of the answer's text."""
        is_in_text = self._has_text and not self._buffer and self._read == self._read_text
        if is_in_text and text and not self._tags.signs.search(text):  # fast path: most chunks
            self._code.see(text)
            self._previous = text[-1]
            return [TextDelta(text)]
        self._buffer += text
        return self._deltas_read()

    def pause(self) -> list[Delta]:
        """Parse the rest of the buffer where something other than text follows, as a tool call."""
        if self._read in (self._read_header, self._read_call):
            return []
        is_all, self._is_all = self._is_all, True
        deltas = self._deltas_read()
        self._is_all = is_all
        return deltas

    def flush(self) -> list[Delta]:
        """Parse the rest of the buffer at the end of the answer."""
        self._is_all = True
        deltas = self._deltas_read()
        if self._read == self._read_reasoning:
            self._add_reasoning(self._buffer.rstrip())
            if self._guess is not None:
                self._add_text("".join(self._guess) + self._buffer)
                self._guess = None
                self.was_not_inside = True
        elif self._read == self._read_call:
            self._call += self._buffer
            self._end_call()
        elif not self._follows_tag or self._buffer.strip():
            self._add_text(self._buffer)
        self._buffer = ""
        return deltas + self._deltas_read()

    def saw_reasoning(self) -> None:
        """Record that the service sends reasoning in a separate field, so that text is text."""
        self._has_reasoning = True
        if self._read == self._read_start:
            self._guess = None

    def _deltas_read(self) -> list[Delta]:
        while self._buffer and self._read():
            pass
        deltas, self._deltas = self._deltas, []
        return deltas

    # One method per state. Each consumes the buffer and returns False if it needs more input.

    def _read_plain(self) -> bool:
        self._take_text(len(self._buffer))
        return False

    def _read_start(self) -> bool:
        """Read the beginning of the answer, or of the text after reasoning."""
        bare = self._buffer.lstrip()
        space = len(self._buffer) - len(bare)
        if not bare or (self._tags.may_begin(bare) and not self._is_all):
            return False
        if (match := self._tags.word.match(bare)) and self._take_first_tag(match[0], space):
            return True
        if self._guess is None and not (self._has_text or self._has_reasoning):
            if _BARE_HARMONY.opening.startswith(bare[:8]) and len(bare) <= 8 and not self._is_all:
                return False
            if _BARE_OPENING.match(bare):
                self._guess = [self._buffer[: space + 8]]
                self._skip(space + 8)
                self._begin_reasoning(_BARE_HARMONY)
                return True
        if self._guess is not None:
            self._begin_reasoning(self._pair)
            return True
        if self._follows_tag and not self._has_text:
            self._skip(space)
        if self._needs_gap and self._has_text:
            self._deltas.append(TextDelta(GAP))
        self._needs_gap = False
        self._read = self._read_text
        return True

    def _take_first_tag(self, word: str, space: int) -> bool:
        low = word.lower()
        self._follows_tag = True
        if pair := self._tags.opened_by(word):
            self._skip(space + len(word))
            self._guess = None
            self._begin_reasoning(pair)
        elif self._tags.closed_by(word) or low in _HARMONY_ENDS:  # the reasoning is empty
            self._skip(space + len(word))
            self._guess = None
            self._has_reasoning = True
        elif low in _HARMONY_STARTS:
            self._skip(space)
            self._guess = None
            self._read = self._read_header
        elif low in _ANSWERS and (self._has_reasoning or low != "<answer>"):
            self._skip(space + len(word))
            self._left_out.add(_ANSWERS[low])
            self._has_reasoning = True
        else:
            return False
        return True

    def _read_text(self) -> bool:
        """Read text up to the next tag."""
        buffer, tags, code = self._buffer, self._tags, self._code
        at = 0
        while match := tags.signs.search(buffer, at):
            sign = match.start()
            code.see(buffer[at:sign])
            at = sign + 1
            char = buffer[sign]
            if char == "\n":
                code.end_line()
            elif char in "`~":
                while at < len(buffer) and buffer[at] == char:
                    at += 1
                if at == len(buffer) and not self._is_all:
                    self._take_text(sign)
                    return False
                code.see_run(buffer[sign:at])
            elif code.is_open:
                code.see(char)
            elif tags.may_begin(buffer, sign) and not self._is_all:
                self._take_text(sign)
                return False
            elif word := tags.word.match(buffer, sign):
                verdict = self._judge(word[0], sign)
                if verdict is not False:
                    return verdict is True
                at = word.end()
                code.see(word[0])
            else:
                code.see(char)
        code.see(buffer[at:])
        self._take_text(len(buffer))
        return False

    def _judge(self, word: str, begin: int) -> bool | None:
        """Handle a tag in the text; returns False if it is text, None if more input is needed."""
        end = begin + len(word)
        is_quoted = self._is_quoted(begin, end)
        if is_quoted is None:
            self._take_text(begin)
            return None
        pair = self._tags.opened_by(word)
        if is_quoted or (pair is not None and not self._code.line_is_blank):
            if pair is not None:
                self._mentioned.add(pair.closing.lower())
            return False
        low = word.lower()
        if pair is not None:
            self._take_text(begin)
            self._skip(len(word))
            self._begin_reasoning(pair)
        elif closed := self._tags.closed_by(word):
            ends_line = self._ends_line(begin, end)
            if ends_line is None:
                self._take_text(begin)
                return None
            if low in self._mentioned or not ends_line:
                return False
            self._take_text(begin)
            self._skip(len(word))
            self._close_unopened(closed)
        elif low in _HARMONY_STARTS:
            self._take_text(begin)
            self._read = self._read_header
        elif low in self._left_out:
            self._take_text(begin)
            self._skip(len(word))
            self._read = self._read_start
        else:
            return False
        return True

    def _is_quoted(self, begin: int, end: int) -> bool | None:
        before = self._buffer[begin - 1] if begin else self._previous
        if before not in _QUOTES:
            return False
        if end == len(self._buffer):
            return False if self._is_all else None
        return self._buffer[end] == _QUOTES[before]

    def _ends_line(self, begin: int, end: int) -> bool | None:
        """Whether a closing tag is where a model ends its reasoning; None if more input is needed.

        That is directly after a word, or at the beginning or the end of a line; not as in "it ends
        with </think> then".
        """
        before = self._buffer[begin - 1] if begin else self._previous
        if before not in " \t" or self._code.line_is_blank:
            return True
        if end == len(self._buffer):
            return True if self._is_all else None
        return self._buffer[end] == "\n"

    def _close_unopened(self, pair: TagPair) -> None:
        if not self._has_reasoning:
            self.unopened = pair
        if self._is_whole and not self._has_reasoning:
            text = "".join(delta.text for delta in self._deltas if isinstance(delta, TextDelta))
            self._deltas.clear()
            self._has_text = False
            self._begins_block = True
            self._add_reasoning(text.rstrip())
        elif self._has_text:
            self._deltas.append(TextDelta(GAP if self._has_reasoning else RULE))
        self._has_reasoning = True
        self._code = _Code()
        self._read = self._read_space

    def _read_space(self) -> bool:
        bare = self._buffer.lstrip()
        self._skip(len(self._buffer) - len(bare))
        if bare:
            self._read = self._read_text
        return bool(bare)

    def _read_reasoning(self) -> bool:
        """Read reasoning up to its closing tag."""
        at = 0
        while match := self._closing.search(self._buffer, at):
            is_quoted = self._is_quoted(*match.span())
            if is_quoted is None:
                self._take_reasoning(match.start())
                return False
            if not (is_quoted and self._opens_quote(match.start())):
                self._add_reasoning(self._buffer[: match.start()].rstrip())
                self._guess = None
                self._skip(match.end())
                self._code = _Code()
                self._read = self._read_start
                return True
            at = match.end()
        self._take_reasoning(len(self._buffer) if self._is_all else self._held_from())
        return False

    def _opens_quote(self, end: int) -> bool:
        """Whether the quotation mark before ``end`` is an opening one.

        In ``I say "hi"</think>"Hi"`` the tag is not quoted; missing the end of the reasoning would
        hide the answer.
        """
        line = (self._line + self._buffer[:end]).rpartition("\n")[2]
        mark = line[-1:]
        if _QUOTES.get(mark) != mark:
            return bool(mark)
        return mark != "'" and line.count(mark) % 2 == 1

    @property
    def _closing(self) -> re.Pattern[str]:
        return _HARMONY_END if self._pair is _HARMONY else self._pair.end

    def _held_from(self) -> int:
        """Return the index of a possible incomplete closing tag at the end of the buffer."""
        length = len(self._buffer)
        if self._pair is _HARMONY:
            tail = self._buffer.rfind("<", max(0, length - _HARMONY_TOKEN_CHARS))
            return length if tail < 0 else tail
        closing = self._pair.closing.lower()
        for begin in range(max(0, length - len(closing) + 1), length):
            if closing.startswith(self._buffer[begin:].lower()):
                return begin
        return length

    def _take_reasoning(self, end: int) -> None:
        """Emit reasoning up to ``end``, without trailing white space."""
        text = self._buffer[:end].rstrip()
        if self._guess is not None:
            self._guess.append(text)
        self._add_reasoning(text)
        self._line = (self._line + text).rpartition("\n")[2][-MAX_LINE_CHARS:]
        self._skip(len(text))

    def _read_header(self) -> bool:
        """Read a harmony header: ``<|start|>assistant<|channel|>analysis<|message|>``."""
        end = self._buffer.find(_HARMONY_MESSAGE, 0, MAX_HEADER_CHARS + len(_HARMONY_MESSAGE))
        if end < 0:
            if len(self._buffer) < MAX_HEADER_CHARS + len(_HARMONY_MESSAGE) and not self._is_all:
                return False
            self._read = self._read_text  # not a header
            self._code.see("<")
            self._take_text(1)
            return True
        header = self._buffer[:end]
        self._skip(end + len(_HARMONY_MESSAGE))
        self._left_out.update(_HARMONY_ENDS)
        recipient = re.search(r"\bto=(?:functions\.)?([\w.-]+)", header)
        channel = re.search(r"<\|channel\|>\s*(\w+)", header)
        self._has_reasoning = True
        if recipient is not None:
            self._recipient = recipient[1]
            self._read = self._read_call
        elif channel is not None and channel[1].lower() == "analysis":
            self._begin_reasoning(_HARMONY)
        else:
            self._needs_gap = True
            self._read = self._read_start
        return True

    def _read_call(self) -> bool:
        match = _HARMONY_END.search(self._buffer)
        end = match.start() if match else len(self._buffer) - _HARMONY_TOKEN_CHARS
        if end > 0:
            self._call += self._buffer[: min(end, MAX_CALL_CHARS - len(self._call))]
        self._skip(match.end() if match else max(0, end))
        if match is None:
            return False
        self._end_call()
        return True

    def _end_call(self) -> None:
        self._deltas.append(ToolDelta("", self._recipient, "requested", self._call.strip()))
        self._call = ""
        self._read = self._read_start

    # Output

    def _begin_reasoning(self, pair: TagPair) -> None:
        self._pair = pair
        self._line = ""
        self._follows_tag = True
        self._begins_block = True
        self._read = self._read_reasoning

    def _add_reasoning(self, text: str) -> None:
        self._has_reasoning = True
        if self._begins_block:
            text = text.lstrip()
            if text and self._wrote_reasoning:
                text = GAP + text
        if text:
            self._deltas.append(ReasoningDelta(text))
            self._begins_block = False
            self._wrote_reasoning = True

    def _take_text(self, end: int) -> None:
        self._add_text(self._buffer[:end])
        self._skip(end)

    def _add_text(self, text: str) -> None:
        if text:
            self._deltas.append(TextDelta(text))
            self._has_text = self._has_text or not text.isspace()

    def _skip(self, end: int) -> None:
        if end:
            self._previous = self._buffer[end - 1]
            self._buffer = self._buffer[end:]


class _Code:
    """Tracks whether the current position in Markdown is in a code span or a fenced block."""

    def __init__(self) -> None:
        self.line_is_blank = True  # so far
        self._line_is_prefix = True  # the prefix of a list item or a quotation, so far
        self._span = ""  # the backticks that opened a code span
        self._fence = ""  # the run that opened a fenced block
        self._is_first_line = False  # whether this is the first line of a fenced block
        self._may_end = False  # the line is the end of a fenced block, so far

    @property
    def is_open(self) -> bool:
        return bool(self._span or self._fence)

    def see(self, text: str) -> None:
        """Process text without line ends and runs of backticks or tildes."""
        is_in_line = not (self.line_is_blank or self._line_is_prefix or self._may_end)
        if is_in_line or not text:
            return
        if not text.isspace():
            self.line_is_blank = False
            self._may_end = False
            if self._line_is_prefix:
                self._line_is_prefix = not text.strip(" \t>*+-.)0123456789")

    def see_run(self, run: str) -> None:
        """Process a run of backticks or tildes."""
        may_open = self._line_is_prefix
        is_alone = self.line_is_blank
        self.see(run)
        if self._fence:
            if self._is_first_line and run[0] == "`" == self._fence[0]:
                self._fence = ""  # a code span: a fence's info string can't contain a backtick
            else:
                self._may_end = is_alone and run.startswith(self._fence)
        elif self._span:
            if run == self._span:
                self._span = ""
        elif len(run) >= 3 and may_open:
            self._fence = run
            self._is_first_line = True
        elif run[0] == "`":
            self._span = run

    def end_line(self) -> None:
        """Process the end of a line, which also ends a code span."""
        if self._may_end:
            self._fence = ""
        self._span = ""
        self._is_first_line = self._may_end = False
        self.line_is_blank = self._line_is_prefix = True
