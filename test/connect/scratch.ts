import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A private directory for one test, which goes with it. */
export class Scratch implements AsyncDisposable {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async make(): Promise<Scratch> {
    return new Scratch(await mkdtemp(join(tmpdir(), "gpt-")));
  }

  /** The path of a name in it. */
  path(name: string): string {
    return join(this.directory, name);
  }

  /** Writes a file, whatever the umask, and gives its path. */
  async put(name: string, content: string | Buffer, mode = 0o600): Promise<string> {
    const path = this.path(name);
    await writeFile(path, content, { mode });
    await chmod(path, mode);
    return path;
  }

  /** Makes a private directory in it. */
  async mkdir(name: string): Promise<void> {
    await mkdir(this.path(name), { mode: 0o700 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}
