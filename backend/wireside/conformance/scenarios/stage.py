"""Plays scenarios to clients: frames and times in, what to do out. No I/O and no clock."""

from __future__ import annotations

import json
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wireside.conformance.results import Fault, Result, shown
from wireside.conformance.scenarios.catalogue import RETRY_AFTER_S, Scenario, plain
from wireside.conformance.scenarios.judge import judge, judge_close, judge_text
from wireside.conformance.scenarios.records import Play, ScenarioAttempt, ScenarioRequest
from wireside.conformance.scenarios.visits import (
    Action,
    CloseAtOnce,
    CloseSocket,
    Handshake,
    NextHandshakes,
    RefuseStep,
    SendStep,
    Visit,
)
from wireside.protocol.frames import (
    BatchDoneFrame,
    BatchFrame,
    CancelFrame,
    ChatFrame,
    ErrorFrame,
    Heartbeat,
    PingFrame,
    PongFrame,
    RefusedFrame,
    ResumeFrame,
    parse_client_frame,
)

MAX_LOG_LINES: Final = 200
MAX_MESSAGE_CHARS: Final = 1_000_000
COMMAND: Final = "/scenario"
CHECK: Final = "/check"
TEXT_RULE: Final = "A client shows the text of an answer once, whole and in order."


@dataclass(frozen=True, slots=True)
class StagedReply:
    """Send a text on the connection."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class StagedAnswer:
    """Perform the actions of a request; report each one to ``Stage.note``."""

    play: Play | None
    request: ScenarioRequest
    actions: Iterator[Action]

    @property
    def id(self) -> str | None:
        """The ``id`` of the request."""
        value: str | None = self.request.frame.get("id")
        return value


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop the actions of a request and send its ``done``."""

    id: str | None


Command = StagedReply | StagedAnswer | Cancel


class Stage:
    """State of the kit towards clients; results are final when ``take_results`` returns them.

    Args:
        scenarios: those to play, in this order.
        patience_s: longest wait for the next attempt of a client to connect, in seconds.
        settle_s: time after the end of an answer in which a client must not request it again.
        ping_s: interval of the client's pings, in seconds.
        dead_s: time after a ping in which a client has to notice a dead connection, in seconds.
    """

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        *,
        patience_s: float = 60.0,
        settle_s: float = 2.0,
        ping_s: float = 30.0,
        dead_s: float = 20.0,
    ) -> None:
        self.scenarios = scenarios
        self.results: dict[str, Result] = {}
        self.attempts: list[ScenarioAttempt] = []
        self._patience_s = patience_s
        self._settle_s = settle_s
        self._ping_s = ping_s
        self._dead_s = dead_s
        self._waiting = deque(scenarios)
        self._plays: list[Play] = []
        self._handshakes: deque[Handshake] = deque()
        self._new_results: list[Result] = []
        self._silent: set[int] = set()

    # ---- connections ---------------------------------------------------------------------------

    def connect(self, now: float) -> tuple[int, Handshake | None]:
        """Record a handshake; return the number of the connection, and what to do with it."""
        plan = self._handshakes.popleft() if self._handshakes else None
        outcome = "open"
        if plan is not None:
            outcome = "closed at once" if isinstance(plan, CloseAtOnce) else "refused"
        self.attempts.append(ScenarioAttempt(at=now, outcome=outcome))
        if plan is not None:
            self.attempts[-1].ended_at = now
        number = len(self.attempts) - 1
        for play in self._open_plays():
            detail = f" ({plan.status})" if isinstance(plan, RefuseStep) else ""
            self._log(play, now, f"  connection {number}: {outcome}{detail}")
        return number, plan

    def disconnect(self, number: int, now: float, *, code: int | None, by_client: bool) -> None:
        """Record the end of a connection; ``code`` is that of the client's close frame."""
        attempt = self.attempts[number]
        if attempt.ended_at is None:
            attempt.ended_at = now
        attempt.close_code, attempt.ended_by_client = code, by_client
        if by_client:
            self._end_requests(number, "left", now)

    def drop(self, number: int, how: str, now: float, code: int = 0) -> None:
        """Record that the server cuts, closes or silences a connection."""
        if how == "silent":
            self._silent.add(number)
        else:
            self.attempts[number].ended_at = now
        self._end_requests(number, how, now, code)

    def _end_requests(self, number: int, how: str, now: float, code: int = 0) -> None:
        for play in self._plays:
            if play.last.attempt == number and not play.last.ended:
                play.last.end(how, now, code)
                who = "client" if how == "left" else "server"
                self._log(play, now, f"  {how}{f' {code}' if code else ''} by the {who}")

    # ---- frames --------------------------------------------------------------------------------

    def receive(self, number: int, text: str, now: float) -> list[Command]:
        """Handle a text frame of a client."""
        frame = parse_client_frame(text, max_message_chars=MAX_MESSAGE_CHARS)
        for play in self._open_plays():
            self._log(play, now, f"← {text}")
        if isinstance(frame, PingFrame | Heartbeat):
            self.attempts[number].pings.append(now)
        if number in self._silent:
            return []
        match frame:
            case PingFrame():
                return [StagedReply(PongFrame(t=frame.t).encode())]
            case Heartbeat():
                return [] if frame.reply is None else [StagedReply(frame.reply.encode())]
            case RefusedFrame():
                return self._refuse(frame, text)
            case CancelFrame():
                return [Cancel(frame.id)]
            case _:
                return self._request(number, frame, text, now)

    def _request(
        self, number: int, frame: ChatFrame | BatchFrame | ResumeFrame, text: str, now: float
    ) -> list[Command]:
        match frame:
            case BatchFrame():
                return [StagedReply(one) for one in _batch_answers(frame)]
            case ResumeFrame():
                return [self._resume(number, json.loads(text), now)]
            case ChatFrame() if frame.part is None:
                return [self._chat(number, json.loads(text), now)]
            case ChatFrame():
                return [StagedReply(_error(frame.id, "not_found", "There is no such question."))]

    def _refuse(self, frame: RefusedFrame, text: str) -> list[Command]:
        for play in self._open_plays():
            fault = ("a valid frame", f"{shown(text)}: {frame.error}")
            if fault not in play.faults:
                play.faults.append(fault)
        return [StagedReply(_error(frame.id, frame.error.code, str(frame.error)))]

    def _chat(self, number: int, frame: dict[str, Any], now: float) -> Command:
        message = str(frame["message"])
        if message.startswith(CHECK):
            return self._check_text(number, frame, message, now)
        play = self._play_of(frame) or self._begin(message)
        if play is None:
            return self._answer_plainly(number, frame, now)
        return self._answer(play, number, frame, int(frame.get("offset") or 0), now)

    def _resume(self, number: int, frame: dict[str, Any], now: float) -> Command:
        for play in reversed(self._plays):
            if play.stream == frame["stream"]:
                return self._answer(play, number, frame, int(frame["offset"]), now)
        return StagedReply(_error(frame["id"], "not_found", "There is no such stream."))

    def _play_of(self, frame: dict[str, Any]) -> Play | None:
        """Return the play of a question that was sent before."""
        for play in reversed(self._plays):
            if play.message != frame["message"]:
                continue
            has_key = play.key is not None and play.key == frame.get("key")
            if has_key or (play.is_waiting and play.scenario.name not in self.results):
                return play
        return None

    def _begin(self, message: str) -> Play | None:
        """Begin the scenario that a message names, or else the next one."""
        name = message.removeprefix(COMMAND).strip() if message.startswith(COMMAND) else ""
        named = next((one for one in self.scenarios if one.name == name), None)
        if named is not None:
            self.results.pop(named.name, None)
            scenario = named
        elif self._waiting:
            scenario = self._waiting[0]
        else:
            return None
        if scenario in self._waiting:
            self._waiting.remove(scenario)
        play = Play(
            scenario=scenario,
            message=message,
            stream=secrets.token_urlsafe(16),
            ping_s=self._ping_s,
            dead_s=self._dead_s,
        )
        self._plays.append(play)
        return play

    def _answer(
        self, play: Play, number: int, frame: dict[str, Any], offset: int, now: float
    ) -> Command:
        is_in_use = any(
            one is not play and not one.last.ended and one.last.attempt == number
            and frame.get("id") is not None and one.last.frame.get("id") == frame.get("id")
            for one in self._plays
        )  # fmt: skip
        if is_in_use:
            play.faults.append(("an `id` that is not in use", str(frame.get("id"))))
        if play.requests and not play.last.ended:
            play.last.end("left", now)
        request = ScenarioRequest(frame=frame, attempt=number, at=now, offset=offset)
        if not play.requests:
            request.offset = 0
            self._log(play, now, f"← {json.dumps(frame, ensure_ascii=False)}")
        play.requests.append(request)
        visit = Visit(
            play.scenario.log,
            number=len(play.requests) - 1,
            stream=play.stream,
            request_id=frame.get("id"),
            offset=offset,
            is_resume=request.is_resume,
            ping_s=self._ping_s,
        )
        is_judged = play.scenario.name in self.results
        actions = plain(visit) if is_judged else play.scenario.play(visit)
        return StagedAnswer(play, request, actions)

    def _answer_plainly(self, number: int, frame: dict[str, Any], now: float) -> Command:
        text = (
            "All scenarios were played. The address of this server in a browser shows the results."
        )
        return StagedAnswer(
            None, ScenarioRequest(frame=frame, attempt=number, at=now), _say(frame, text)
        )

    def _check_text(self, number: int, frame: dict[str, Any], message: str, now: float) -> Command:
        """Compare a text that a client has assembled: ``/check NAME``, a line break, the text."""
        head, _, text = message.partition("\n")
        name = head.removeprefix(CHECK).strip()
        scenario = next((one for one in self.scenarios if one.name == name), None)
        request = ScenarioRequest(frame=frame, attempt=number, at=now)
        if scenario is None:
            return StagedAnswer(None, request, _say(frame, f"There is no scenario {name}."))
        faults = judge_text(scenario.text, text)
        self._add_result(
            _result(scenario, faults, name=f"{name}/text", rule=TEXT_RULE, section="Offset")
        )
        words = str(faults[0]) if faults else "The text is right."
        return StagedAnswer(None, request, _say(frame, words))

    # ---- actions -------------------------------------------------------------------------------

    def note(self, answer: StagedAnswer, action: Action, now: float) -> None:
        """Record an action that was performed."""
        if isinstance(action, NextHandshakes):
            self._handshakes.extend(action.plan)
            return
        if answer.play is None:
            return
        if isinstance(action, CloseSocket):
            answer.request.linger_s = action.linger_s
        if isinstance(action, SendStep):
            fields = json.loads(action.text) if action.type in ("error", "done") else {}
            answer.request.note(action, fields)
            if action.type in ("done", "error"):
                answer.request.end(action.type, now)
            self._log(answer.play, now, f"→ {action.text}")
        else:
            self._log(answer.play, now, f"  {action}")

    def note_fault(self, answer: StagedAnswer, expected: str, came: str) -> None:
        """Record a fault that was found while an action was performed."""
        if answer.play is not None:
            answer.play.faults.append((expected, came))

    def cancel(self, answer: StagedAnswer, now: float) -> None:
        """Record that the client has cancelled a request."""
        answer.request.end("cancelled", now)

    # ---- results -------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Judge the plays that are over."""
        for play in self._open_plays():
            if self._is_over(play, now):
                faults = judge(play, self.attempts)
                seconds = now - play.first.at
                self._add_result(
                    _result(play.scenario, faults, transcript=play.log, seconds=seconds)
                )

    def finish(self, now: float) -> None:
        """Judge everything else: scenarios that were not asked for are skipped."""
        for play in self._open_plays():
            if not play.last.ended:
                play.last.end("left", now)
            self._add_result(
                _result(play.scenario, judge(play, self.attempts), transcript=play.log)
            )
        for scenario in self._waiting:
            self._add_result(_result(scenario, [], reason="The client did not ask for it."))
        self._waiting.clear()
        if self.attempts:
            self._add_result(_closing(self.attempts))

    def take_results(self) -> list[Result]:
        """Return the results that are new."""
        results, self._new_results = self._new_results, []
        return results

    @property
    def is_finished(self) -> bool:
        """Whether all scenarios have results."""
        return all(scenario.name in self.results for scenario in self.scenarios)

    @property
    def has_left(self) -> bool:
        """Whether the client has ended its last connection."""
        return all(attempt.ended_at is not None for attempt in self.attempts) and (
            not self.attempts or self.attempts[-1].ended_by_client
        )

    def _open_plays(self) -> list[Play]:
        return [
            play for play in self._plays if play.requests and play.scenario.name not in self.results
        ]

    def _is_over(self, play: Play, now: float) -> bool:
        last = play.last
        if not last.ended:
            return False
        settle_s = self._settle_s
        is_level_1 = play.scenario.level == 2 and play.first.frame.get("id") is None
        if play.is_waiting and not is_level_1:
            tried_at = max(last.ended_at, self.attempts[-1].at)  # each attempt may wait longer
            return now - tried_at > self._patience_s + last.retry_after_s
        if last.ended == "error" and last.retryable:
            settle_s = max(settle_s, last.retry_after_s + RETRY_AFTER_S / 2)
        return now - last.ended_at > settle_s

    def _add_result(self, result: Result) -> None:
        self.results[result.name] = result
        self._new_results.append(result)

    def _log(self, play: Play, now: float, line: str) -> None:
        began = play.first.at if play.requests else now
        if len(play.log) < MAX_LOG_LINES:
            mark, rest = line[:2], line[2:]
            play.log.append(shown(f"{mark}{now - began:7.2f} s  {rest}"))


def _result(
    scenario: Scenario,
    faults: Sequence[Fault],
    *,
    name: str | None = None,
    rule: str | None = None,
    section: str | None = None,
    reason: str = "",
    transcript: Sequence[str] = (),
    seconds: float = 0.0,
) -> Result:
    return Result(
        name=name or scenario.name,
        section=section or scenario.section,
        rule=rule or scenario.rule,
        level=scenario.level,
        state="failed" if faults else "skipped" if reason else "passed",
        reason=reason,
        faults=tuple(faults),
        transcript=tuple(transcript),
        seconds=seconds,
    )


def _closing(attempts: Sequence[ScenarioAttempt]) -> Result:
    """Judge the last connection that the client has ended."""
    ended = [attempt for attempt in attempts if attempt.ended_by_client]
    faults = judge_close(ended[-1]) if ended else []
    return Result(
        name="closes-cleanly",
        section="Closing",
        rule="A client that has finished closes its connection with a close frame.",
        level=1,
        state="failed" if faults else "passed" if ended else "skipped",
        reason="" if ended else "The client has ended no connection.",
        faults=tuple(faults),
    )


def _error(request_id: str | None, code: str, message: str) -> str:
    if request_id is None:
        return ErrorFrame(message=message).encode()
    return ErrorFrame(id=request_id, message=message, code=code, retryable=False).encode()


def _say(frame: dict[str, Any], text: str, **extra: Any) -> Iterator[Action]:
    """Answer a question with a text, without a fault."""
    about = {} if frame.get("id") is None else {"id": frame["id"]}
    if about:
        start = {"type": "start", **about, "stream": secrets.token_urlsafe(16)}
        yield SendStep(json.dumps({**start, "model": "conformance", **extra}))
    offset = {"offset": len(text)} if about else {}
    yield SendStep(json.dumps({"type": "chunk", **about, "content": text, **offset}))
    end = {"reason": "stop", "usage": {"input_tokens": None, "output_tokens": None}}
    yield SendStep(
        json.dumps({"type": "done", **about, **offset, **(end | extra if about else {})})
    )


def _batch_answers(frame: BatchFrame) -> Iterator[str]:
    """Answer a batch without a fault."""
    is_parallel = frame.id is not None and frame.parallel is not None
    for index, message in enumerate(frame.messages):
        extra = {} if frame.id is None else {"index": index}
        for action in _say({"id": frame.id}, f"Answer to: {message}", **extra):
            if isinstance(action, SendStep):
                fields = json.loads(action.text)
                yield json.dumps(fields | extra if is_parallel else fields)
    if frame.id is not None and is_parallel:
        done = BatchDoneFrame(id=frame.id, done=len(frame.messages), failed=0, cancelled=0)
        yield done.encode()
