import fc from "fast-check";

/** The same cases in each run, so that a run says something about the code; another number tries others. */
const SEED = 20_261_128;

fc.configureGlobal({ seed: Number(process.env.GO_PLUGIN_SSH_TEST_SEED ?? SEED) });

/** fast-check, whose cases are the same in each run. */
export default fc;
