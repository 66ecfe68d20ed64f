import { execFileSync, spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startEmbedded } from "../servers/embedded.ts";
import { built } from "../tools/built.ts";
import { type Ended, runNode } from "../tools/run-node.ts";
import { openUserHome, type UserHome } from "../tools/user-home.ts";
import { destination, HOST_VARIABLES, watchShim } from "./start-shim.ts";

let user: UserHome;

beforeEach(async () => {
  user = await openUserHome({ dist: built() });
});

afterEach(() => user[Symbol.dispose]());

function cli(...words: string[]): Promise<Ended> {
  return runNode([join(built(), "go-plugin-ssh.js"), ...words], { env: user.env, cwd: user.home });
}

describe("go-plugin-ssh shim --install", () => {
  test("writes an executable that a host starts as it is, with arguments of its own", async () => {
    await using server = await startEmbedded();
    using other = await openUserHome({ dist: built(), server });
    const path = join(other.directory, "bin", "my plugin");
    const words = ["shim", "--install", path, destination(server), "--carry", "pass", "--", "/bin/sh", "-c"];
    expect(await runNode([join(built(), "go-plugin-ssh.js"), ...words], { env: other.env })).toMatchObject({ code: 0 });
    expect(statSync(path).mode & 0o777).toBe(0o755);
    // What a host appends goes to the plugin.
    const plugin = 'echo "1|1|unix|$PLUGIN_UNIX_SOCKET_DIR/p|grpc|"; exit 5';
    const env = { ...other.env, ...HOST_VARIABLES };
    const shim = watchShim(spawn(path, [plugin], { env, stdio: ["ignore", "pipe", "pipe"] }));
    expect(await shim.ended, shim.stderr()).toEqual({ code: 5, signal: null });
    expect(shim.stdout()).toMatch(/^1\|1\|unix\|.*\|grpc\|\n$/);
  });

  test.each([
    ["one of CommonJS", '{ "type": "commonjs" }'],
    ["one of modules", '{ "type": "module" }'],
    ["none", undefined],
  ])("runs beside a package.json: %s", async (_what, packageFile) => {
    const path = join(user.directory, "plugin");
    expect(await cli("shim", "--install", path, "box", "--", "/x")).toMatchObject({ code: 0 });
    if (packageFile) writeFileSync(join(user.directory, "package.json"), packageFile);
    const ended = await runNode([path], { env: user.env });
    expect(ended).toMatchObject({ code: 1, stdout: "", stderr: /shim of go-plugin-ssh/ });
  });

  test("names files absolutely, keeps settings as data, and holds no shell", async () => {
    const path = join(user.directory, "terraform-provider-null");
    writeFileSync(join(user.home, "config"), "");
    const words = ["-i", "keys/build", "-F", "config", "--forward-env", "AWS_*"];
    for (const setting of [
      "CertificateFile=keys/cert.pub",
      'userknownhostsfile "known 1" /known-2',
      "Compression=yes",
    ]) {
      words.push("-o", setting);
    }
    words.push("--", "/opt/provider", "it's");
    expect(await cli("shim", "--install", path, "deploy@build-7", ...words)).toMatchObject({ code: 0 });
    const text = readFileSync(path, "utf8");
    expect(text.split("\n")[0]).toBe(`#!${process.execPath}`);
    const [, settings = ""] = /^const settings = (\{[\s\S]*?\n\});$/m.exec(text) ?? [];
    expect(JSON.parse(settings)).toMatchObject({
      destination: { host: "build-7", user: "deploy" },
      connect: {
        identityFile: [join(user.home, "keys/build")],
        configFile: join(user.home, "config"),
        sshOptions: [
          `CertificateFile=${join(user.home, "keys/cert.pub")}`,
          `userknownhostsfile "${join(user.home, "known 1")}" /known-2`,
          "Compression=yes",
        ],
      },
      command: ["/opt/provider", "it's"],
      forwardEnv: ["AWS_*"],
    });
  });

  test.each([
    ["terraform-provider-aws", /dev_overrides \{\n {6}"hashicorp\/aws" = ".*"\n/],
    ["tflint-ruleset-aws", /plugin "aws" \{/],
    [
      "anything",
      /vault plugin register -sha256=[0-9a-f]{64} -command=anything[\s\S]*Nomad[\s\S]*tflint[\s\S]*Terraform/,
    ],
  ])("tells what to put where: %s", async (name, advice) => {
    const { code, stdout } = await cli("shim", "--install", join(user.directory, name), "box", "--", "/x");
    expect(code).toBe(0);
    expect(stdout).toMatch(advice);
    expect(stdout).toContain(user.directory);
  });

  test("tells it as JSON", async () => {
    const path = join(user.directory, "plugin");
    const { stdout } = await cli("shim", "--install", path, "--json", "box", "--", "/x");
    const told = JSON.parse(stdout);
    expect(told).toMatchObject({ path, node: process.execPath, warnings: [] });
    const sum = execFileSync("sha256sum", [path], { encoding: "utf8" }).slice(0, 64);
    expect(told.sha256).toBe(sum);
  });

  test("replaces its own, and nothing else", async () => {
    const path = join(user.directory, "plugin");
    for (const command of ["/one", "/two"]) {
      expect(await cli("shim", "--install", path, "box", "--", command)).toMatchObject({ code: 0 });
    }
    expect(readFileSync(path, "utf8")).toContain("/two");
    const foreign = join(user.directory, "foreign");
    writeFileSync(foreign, "#!/bin/sh\n");
    mkdirSync(join(user.directory, "directory"));
    for (const taken of [foreign, join(user.directory, "directory")]) {
      const refused = await cli("shim", "--install", taken, "box", "--", "/x");
      expect(refused).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("no shim of ours") });
      expect(await cli("shim", "--uninstall", taken)).toMatchObject({ code: 2 });
    }
    expect(readFileSync(foreign, "utf8")).toBe("#!/bin/sh\n");
    expect(await cli("shim", "--uninstall", path)).toMatchObject({ code: 0, stdout: "", stderr: "" });
    expect(existsSync(path)).toBe(false);
    expect(await cli("shim", "--uninstall", path)).toMatchObject({ code: 1, stderr: /nothing at/ });
  });

  test("leaves links alone, wherever they lead, and what it cannot read", async () => {
    const shim = join(user.directory, "shim");
    expect(await cli("shim", "--install", shim, "box", "--", "/x")).toMatchObject({ code: 0 });
    for (const [name, to] of [
      ["dangling", "nowhere"],
      ["leading", shim],
    ] as const) {
      const path = join(user.directory, name);
      symlinkSync(to, path);
      expect(await cli("shim", "--install", path, "box", "--", "/x")).toMatchObject({ code: 2, stdout: "" });
      expect(await cli("shim", "--uninstall", path)).toMatchObject({ code: 2, stdout: "" });
      expect(lstatSync(path).isSymbolicLink() && readlinkSync(path)).toBe(to);
    }
    const beneath = join(shim, "plugin");
    for (const words of [
      ["--install", beneath, "box", "--", "/x"],
      ["--uninstall", beneath],
    ]) {
      expect(await cli("shim", ...words)).toMatchObject({ code: 78, stderr: /config-error.*could not be read/s });
    }
    expect(readdirSync(user.directory).filter((name) => /\.[0-9a-f]{8}$/.test(name))).toEqual([]);
  });

  test("refuses a Node that no first line can name, and takes a link to it", async () => {
    const spaced = join(user.directory, "a node");
    symlinkSync(process.execPath, spaced);
    const long = join(user.directory, "x".repeat(250));
    symlinkSync(process.execPath, long);
    const path = join(user.directory, "plugin");
    for (const node of [spaced, long, "node", join(user.directory, "missing")]) {
      const refused = await cli("shim", "--install", path, "--node", node, "box", "--", "/x");
      expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("--node") });
    }
    const link = join(user.directory, "node");
    symlinkSync(process.execPath, link);
    expect(await cli("shim", "--install", path, "--node", link, "box", "--", "/x")).toMatchObject({ code: 0 });
    expect(readFileSync(path, "utf8")).toMatch(new RegExp(`^#!${link}\n`));
  });

  test("says what to do when the package has moved, or is another release", async () => {
    const path = join(user.directory, "plugin");
    await cli("shim", "--install", path, "box", "--", "/x");
    const text = readFileSync(path, "utf8");
    const moved = join(user.directory, "moved");
    copyFileSync(path, moved);
    writeFileSync(moved, text.replace("/shim.js", "/gone.js"));
    const other = join(user.directory, "other");
    copyFileSync(path, other);
    writeFileSync(other, text.replace('"version": 1', '"version": 999'));
    for (const file of [moved, other]) {
      const env = { ...user.env, ...HOST_VARIABLES };
      const shim = watchShim(spawn(file, [], { env, stdio: ["ignore", "pipe", "pipe"] }));
      expect(await shim.ended).toEqual({ code: 78, signal: null });
      expect(shim.log().at(-1)?.["@message"]).toContain(`shim --install ${path} box -- /x`);
      expect(shim.stdout()).toBe("");
    }
  });

  test.each([
    [["--uninstall", "x", "box"], /--uninstall takes a path and nothing else/],
    [["--uninstall", "x", "--json"], /--uninstall takes a path and nothing else/],
    [["--uninstall", "x", "--tcp"], /--uninstall takes a path and nothing else/],
    [["--install", "x", "box", "--forward-env", "AWS-*", "--", "x"], /names and patterns such as "AWS_\*"/],
    [["--install", "x", "box", "-o", "Compression=yes\nUser=x", "--", "x"], /sshOptions/],
    [["--node", "/x", "box", "--", "x"], /--node is of no use without --install/],
    [["--install", "x"], /destination is missing/],
    [["--install", "x", "box"], /command is missing/],
    [["--install", "x", "box", "--forward-env-set", "everything", "--", "x"], /It is terraform, vault/],
    [["--install", "x", "box", "--start-timeout", "soon", "--", "x"], /number of seconds/],
  ])("refuses %j", async (words, message) => {
    const ended = await cli("shim", ...words);
    expect(ended).toMatchObject({ code: 2, stdout: "" });
    expect(ended.stderr).toMatch(message);
    expect(existsSync(join(user.home, "x"))).toBe(false);
  });

  test("refuses what ssh does not know", async () => {
    const path = join(user.directory, "plugin");
    const ended = await cli("shim", "--install", path, "box", "-o", "BogusKey=1", "--", "x");
    expect(ended).toMatchObject({ code: expect.toBeOneOf([2, 78]), stdout: "", stderr: /BogusKey/i });
    expect(existsSync(path)).toBe(false);
  });
});
