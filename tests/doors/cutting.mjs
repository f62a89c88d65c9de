// Reads answers over a wire that is cut all the time, until standard input receives a line.
// `read(number)` resolves to the text of one answer; it retries by itself.
import process from "node:process";

export const given = JSON.parse(process.argv[2]);
const state = { answers: 0, wrong: 0, failures: 0, errors: [] };
let isOver = false;
process.stdin.on("data", () => (isOver = true));
// some clients reject a promise of theirs, which nothing awaits, when a connection is cut
process.on("unhandledRejection", (error) => isOfWire(error) || complain(`unhandled: ${error}`));

function isOfWire(error) {
  return /network|fetch|closed|terminated|abort|socket|stream|connect/i.test(String(error));
}

function complain(error) {
  if (state.errors.length < 20) state.errors.push(error.slice(0, 200));
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Count a failure of the connection, and wait a little. */
export async function failed(error) {
  state.failures++;
  if (!isOfWire(error)) complain(String(error));
  await pause(20);
}

export async function run(read) {
  const timer = setInterval(() => console.log(JSON.stringify(state)), 250);
  let number = 0;
  const work = async () => {
    while (!isOver) {
      const text = await read(++number);
      state.answers++;
      if (text !== given.expected) {
        state.wrong++;
        complain(`${text.length} of ${given.expected.length}`);
      }
    }
  };
  await Promise.all(Array.from({ length: given.clients }, work));
  clearInterval(timer);
  console.log(JSON.stringify({ ...state, last: true }));
  process.exit(0);
}
