package main

import (
	"context"
	"os"
	"strconv"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// nap says in a file of the machine it runs on when it begins, sleeps, and can be woken by Terraform's StopProvider.
type nap struct{ provider string }

type napState struct {
	Seconds types.Int64  `tfsdk:"seconds"`
	File    types.String `tfsdk:"file"`
	By      types.String `tfsdk:"by"`
}

func newNap() resource.Resource { return &nap{} }

func (*nap) Metadata(_ context.Context, _ resource.MetadataRequest, response *resource.MetadataResponse) {
	response.TypeName = "slumber_nap"
}

func (*nap) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	response.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"seconds": schema.Int64Attribute{Required: true},
		"file":    schema.StringAttribute{Required: true},
		"by":      schema.StringAttribute{Computed: true},
	}}
}

func (n *nap) Configure(_ context.Context, request resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	if name, given := request.ProviderData.(string); given {
		n.provider = name
	}
}

func (n *nap) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	var plan napState
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	if response.Diagnostics.HasError() {
		return
	}
	begun := "began " + strconv.Itoa(os.Getpid()) + "\n"
	if err := os.WriteFile(plan.File.ValueString(), []byte(begun), 0o644); err != nil {
		response.Diagnostics.AddError("no file", err.Error())
		return
	}
	select {
	case <-time.After(time.Duration(plan.Seconds.ValueInt64()) * time.Second):
	case <-ctx.Done():
		response.Diagnostics.AddError("woken", "The nap was interrupted: "+ctx.Err().Error())
		return
	}
	plan.By = types.StringValue(n.provider)
	response.Diagnostics.Append(response.State.Set(ctx, plan)...)
}

func (*nap) Read(context.Context, resource.ReadRequest, *resource.ReadResponse) {}

func (*nap) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	var plan napState
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	response.Diagnostics.Append(response.State.Set(ctx, plan)...)
}

func (*nap) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}
