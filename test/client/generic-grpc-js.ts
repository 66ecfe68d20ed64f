import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import type { GrpcTarget } from "../../src/client/grpc-target.ts";
import { later } from "../../src/lifetime/later.ts";

/** Calls any method of any service by `@grpc/grpc-js`, as a host does that has chosen it. */
export class GrpcJs implements Disposable {
  readonly #client: grpc.Client;

  constructor({ target, tls, options }: GrpcTarget) {
    const credentials = tls
      ? grpc.credentials.createSsl(tls.rootCertificate, tls.privateKey, tls.certificate)
      : grpc.credentials.createInsecure();
    this.#client = new grpc.Client(target, credentials, options);
  }

  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethod & { input: I; output: O },
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        ...words(method),
        create(method.input, request) as MessageShape<I>,
        (failure, response) => (failure ? reject(failure) : resolve(response as MessageShape<O>)),
      );
    });
  }

  serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethod & { input: I; output: O },
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>[]> {
    const stream = this.#client.makeServerStreamRequest(
      ...words(method),
      create(method.input, request) as MessageShape<I>,
    );
    return stream.toArray();
  }

  /** Begins a call in both directions and leaves it open: `begun` when the first answer is here, `ended` at its end. */
  openBidirectional<I extends DescMessage, O extends DescMessage>(
    method: DescMethod & { input: I; output: O },
    request: MessageInitShape<I>,
  ): { begun: Promise<void>; ended: Promise<void> } {
    const stream = this.#client.makeBidiStreamRequest(...words(method));
    stream.write(create(method.input, request) as MessageShape<I>);
    const [begun, ended] = [later<void>(), later<void>()];
    stream.on("data", () => begun.resolve());
    stream.on("end", () => ended.resolve());
    stream.on("error", (failure) => {
      begun.reject(failure);
      ended.reject(failure);
    });
    return { begun: begun.promise, ended: ended.promise };
  }

  clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethod & { input: I; output: O },
    requests: readonly MessageInitShape<I>[],
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      const stream = this.#client.makeClientStreamRequest(...words(method), (failure, response) =>
        failure ? reject(failure) : resolve(response as MessageShape<O>),
      );
      for (const request of requests) stream.write(create(method.input, request) as MessageShape<I>);
      stream.end();
    });
  }

  async bidirectional<I extends DescMessage, O extends DescMessage>(
    method: DescMethod & { input: I; output: O },
    requests: readonly MessageInitShape<I>[],
  ): Promise<MessageShape<O>[]> {
    const stream = this.#client.makeBidiStreamRequest(...words(method));
    for (const request of requests) stream.write(create(method.input, request) as MessageShape<I>);
    stream.end();
    return stream.toArray();
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** The path of a method, and how its messages become bytes and back. */
function words<I extends DescMessage, O extends DescMessage>(method: DescMethod & { input: I; output: O }) {
  return [
    `/${method.parent.typeName}/${method.name}`,
    (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
    (bytes: Buffer) => fromBinary(method.output, bytes),
  ] as const;
}
