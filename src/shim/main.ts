// What an installed shim loads: nothing but what it needs, because hosts start their plugins several times in one command.
export { runShim } from "./shim.ts";
