// @ts-check
// One recording of the microphone, with its level.

const BITS_PER_SECOND = 32_000; // enough for speech: 240 KB a minute
const TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];
const TICK_MS = 100;
const KEPT_LEVELS = 64;

/** Whether the browser can record: pages without HTTPS, except those of this machine, get no microphone. */
export const canRecord = () =>
  "MediaRecorder" in window && Boolean(navigator.mediaDevices?.getUserMedia);

export class Recording {
  /** @param {{ onLevel: (levels: number[], seconds: number) => void, onEnd: () => void }} listeners */
  constructor({ onLevel, onEnd }) {
    this.onLevel = onLevel;
    this.onEnd = onEnd;
    this.isDiscarded = false;
    /** @type {Blob[]} */
    this.pieces = [];
    /** @type {number[]} */
    this.levels = [];
  }

  /** Asks for the microphone and starts. Rejects with the browser's error. */
  async start() {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    this.stream = stream;
    if (this.isDiscarded) return this.release();
    try {
      this.record(stream);
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** @param {MediaStream} stream */
  record(stream) {
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    const recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: BITS_PER_SECOND });
    this.recorder = recorder;
    recorder.ondataavailable = (e) => this.pieces.push(e.data);
    for (const track of stream.getAudioTracks()) track.onended = this.onEnd;
    this.measure(stream);
    recorder.start(1000); // what is recorded arrives every second
    const startedAt = performance.now();
    this.ticking = setInterval(() => {
      this.levels = [...this.levels, this.level()].slice(-KEPT_LEVELS);
      this.onLevel(this.levels, Math.floor((performance.now() - startedAt) / 1000));
    }, TICK_MS);
  }

  /** @param {MediaStream} stream */
  measure(stream) {
    this.audio = new AudioContext();
    this.analyser = this.audio.createAnalyser();
    this.analyser.fftSize = 1024;
    this.samples = new Float32Array(this.analyser.fftSize);
    this.audio.createMediaStreamSource(stream).connect(this.analyser);
  }

  /** Returns the level of the last moment from 0 to 1, on a scale on which speech takes the whole range. */
  level() {
    if (!this.analyser || !this.samples) return 0;
    this.analyser.getFloatTimeDomainData(this.samples);
    const sum = this.samples.reduce((total, value) => total + value * value, 0);
    const decibels = 10 * Math.log10(sum / this.samples.length + 1e-10);
    return Math.min(1, Math.max(0, (decibels + 55) / 45));
  }

  /**
   * Ends the recording and returns it.
   * @returns {Promise<Blob>}
   */
  stop() {
    const { recorder } = this;
    return new Promise((resolve) => {
      const end = () => {
        this.release();
        resolve(new Blob(this.pieces, { type: recorder?.mimeType ?? "" }));
      };
      if (!recorder || recorder.state === "inactive") return end();
      recorder.onstop = end; // after the last piece
      recorder.stop();
    });
  }

  /** Ends the recording in any state. */
  discard() {
    this.isDiscarded = true;
    this.pieces = [];
    this.release();
  }

  release() {
    clearInterval(this.ticking);
    for (const track of this.stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    if (this.audio && this.audio.state !== "closed") this.audio.close();
  }
}
