import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { ServerFiles } from "./server-files.ts";

/** What an account shall look like to one server. */
export interface Account {
  /** Its home, which must be there. */
  home: string;
  /** Its login shell. @default "/bin/sh" */
  shell?: string;
  /** What opens it besides its key, where the server takes passwords. @default nothing */
  password?: string;
}

/** Where libraries lie, by the habits of distributions. */
const LIBRARIES = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];

/** Where the library is that shows one process other accounts than the system's; `undefined` where it is missing. */
export function findNssWrapper(): string | undefined {
  const places = LIBRARIES.filter((place) => existsSync(place)).flatMap((place) => [
    place,
    ...readdirSync(place)
      .filter((name) => name.includes("-linux-"))
      .map((name) => join(place, name)),
  ]);
  return places.map((place) => join(place, "libnss_wrapper.so")).find((path) => existsSync(path));
}

/**
 * Writes the accounts that one server sees: the system's, but for the one that logs in. The environment that is given
 * makes a program see them; what it runs for a client has a fresh environment, and sees the system's.
 */
export async function writeAccount(
  { directory, user }: Pick<ServerFiles, "directory" | "user">,
  { home, shell = "/bin/sh", password }: Account,
): Promise<Record<string, string>> {
  const library = findNssWrapper();
  if (!library) throw new Error("There is no nss_wrapper here. Install libnss-wrapper.");
  const others = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith(`${user}:`));
  const { uid, gid } = userInfo();
  const passwd = join(directory, "passwd");
  await writeFile(passwd, `${[`${user}:*:${uid}:${gid}::${home}:${shell}`, ...others].join("\n")}\n`);
  const env = { LD_PRELOAD: library, NSS_WRAPPER_PASSWD: passwd, NSS_WRAPPER_GROUP: "/etc/group" };
  if (password === undefined) return env;
  const shadow = join(directory, "shadow");
  const hash = execFileSync("openssl", ["passwd", "-6", "-stdin"], { input: password, encoding: "utf8" }).trim();
  await writeFile(shadow, `${user}:${hash}:19000:0:99999:7:::\n`, { mode: 0o600 });
  return { ...env, NSS_WRAPPER_SHADOW: shadow };
}
