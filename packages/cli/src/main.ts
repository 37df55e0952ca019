import { SUBPROTOCOL } from "@culvert/protocol";

process.stdout.write(`${SUBPROTOCOL}\n`);
