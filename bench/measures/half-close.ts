import { once } from "node:events";
import { connected } from "../visitor.ts";
import type { Step } from "./step.ts";

const ASKED_BYTES = 1_000;
/** What closed its connection in both directions never answers. */
const ANSWER_MS = 3_000;

/** The visitor ends its direction, and the target answers only then: does the answer come? */
export const HALF_CLOSE_STEP: Step = {
  figures: [
    {
      id: "half-close",
      measure: "half-close",
      section: "One direction is ended, the other goes on",
      title: "half-close",
      unit: "",
      better: "higher",
      digits: 0,
      words: ["broken", "kept"],
    },
  ],
  seconds: 0.5,
  maxSeconds: 20,
  run: async (context) => {
    const socket = await connected((await context.tunnel()).ports.answer, context.signal);
    try {
      let answer = "";
      socket.setEncoding("latin1").on("data", (text: string) => {
        answer += text;
      });
      const timeout = AbortSignal.timeout(ANSWER_MS);
      const over = Promise.race([once(socket, "end"), once(socket, "close"), once(timeout, "abort")]);
      socket.end("x".repeat(ASKED_BYTES));
      await over;
      return [answer === `${ASKED_BYTES}\n` ? 1 : 0];
    } finally {
      socket.destroy();
    }
  },
};
