import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findNssWrapper, writeAccount } from "./account.ts";
import type { TestServer } from "./server.ts";
import { spawnServer } from "./spawn-server.ts";

/** Where `build-dropbear.sh` leaves the newer one. */
const BUILT = fileURLToPath(new URL("../../.cache/dropbear-2025.89", import.meta.url));
const DROPBEAR = /^(\S*\/)?dropbear(\s|$)/;

/** A dropbear on this machine. */
export interface Dropbear {
  readonly dropbear: string;
  /** Turns OpenSSH's keys into dropbear's. */
  readonly convert: string;
}

/** The dropbear that is installed, or `undefined`. Its tests also need nss_wrapper. */
export function installedDropbear(): Dropbear | undefined {
  const places = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/bin"];
  const find = (name: string) => places.map((place) => join(place, name)).find((path) => existsSync(path));
  return together(find("dropbear"), find("dropbearconvert"));
}

/** The dropbear that was built from its source, or `undefined`. */
export function builtDropbear(): Dropbear | undefined {
  const [dropbear, convert] = [join(BUILT, "dropbear"), join(BUILT, "dropbearconvert")];
  return existsSync(dropbear) ? together(dropbear, convert) : undefined;
}

/** Starts a dropbear that looks for the account's keys in a home of its own, because older ones look nowhere else. */
export function startDropbear({ dropbear, convert }: Dropbear): Promise<TestServer> {
  return spawnServer({
    name: "dropbear",
    processes: DROPBEAR,
    listens: "Not backgrounding",
    prepare: async (files) => {
      const { directory, hostKeyFile, publicKey, port } = files;
      const [home, hostKey] = [join(directory, "home"), join(directory, "dropbear_key")];
      await mkdir(join(home, ".ssh"), { recursive: true, mode: 0o700 });
      await writeFile(join(home, ".ssh", "authorized_keys"), `${publicKey}\n`, { mode: 0o600 });
      execFileSync(convert, ["openssh", "dropbear", hostKeyFile, hostKey], { stdio: "ignore" });
      const options = ["-F", "-E", "-s", "-r", hostKey, "-p", `127.0.0.1:${port}`, "-P", join(directory, "pid")];
      return { command: [dropbear, ...options], env: await writeAccount(files, { home }) };
    },
  });
}

function together(dropbear: string | undefined, convert: string | undefined): Dropbear | undefined {
  return dropbear && convert && findNssWrapper() ? { dropbear, convert } : undefined;
}
