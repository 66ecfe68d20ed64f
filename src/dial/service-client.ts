import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";

/** A typed client of one of the plugin's services. */
export function serviceClient<Service extends DescService>(service: Service, transport: Transport): Client<Service> {
  return createClient(service, transport);
}
