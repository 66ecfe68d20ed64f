// Asks the process that started ssh what ssh wants to know. See prompts.ts, which answers.
import { connect } from "node:net";

const { GO_PLUGIN_SSH_PROMPTS: path = "", SSH_ASKPASS_PROMPT: kind = "" } = process.env;
let answer = "";
const socket = connect(path, () => socket.write(`${JSON.stringify({ text: process.argv[2] ?? "", kind })}\n`));
socket.setEncoding("utf8");
socket.on("error", () => process.exit(1));
socket.on("data", (chunk) => {
  answer += chunk;
});
socket.on("end", () => {
  const given = answer === "" ? undefined : JSON.parse(answer);
  if (typeof given !== "string") process.exit(1);
  process.stdout.write(`${given}\n`, () => process.exit(0));
});
