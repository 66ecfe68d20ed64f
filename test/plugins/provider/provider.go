package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// slumber hands the name of its configuration on to its resources, so that several of them can be told apart.
type slumber struct{}

type settings struct {
	Name types.String `tfsdk:"name"`
}

func newProvider() provider.Provider { return slumber{} }

func (slumber) Metadata(_ context.Context, _ provider.MetadataRequest, response *provider.MetadataResponse) {
	response.TypeName = "slumber"
}

func (slumber) Schema(_ context.Context, _ provider.SchemaRequest, response *provider.SchemaResponse) {
	response.Schema = schema.Schema{
		Attributes: map[string]schema.Attribute{"name": schema.StringAttribute{Optional: true}},
	}
}

func (slumber) Configure(ctx context.Context, request provider.ConfigureRequest, response *provider.ConfigureResponse) {
	var given settings
	response.Diagnostics.Append(request.Config.Get(ctx, &given)...)
	response.ResourceData = given.Name.ValueString()
}

func (slumber) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{newNap}
}

func (slumber) DataSources(context.Context) []func() datasource.DataSource { return nil }
