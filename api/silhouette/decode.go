package silhouette

import (
	"encoding/json"
	"fmt"

	"throng"
	"throng/service"
)

// DecodeDefinition reads the body of POST /audiences. What is wrong with it is
// in the definition's Problems; what was ignored, in its Warnings.
func DecodeDefinition(body []byte) service.Definition {
	r := &throng.Reader{}
	var def service.Definition
	o := r.Object(body, "")
	if o == nil {
		def.Problems, def.Warnings = r.Findings()
		return def
	}
	if raw, ok := o.Take("audience"); ok {
		if a := r.Object(raw, "audience"); a != nil {
			def.Name = optionalText(r, a, "name")
			def.Description = optionalText(r, a, "description")
			a.Rest()
		}
	}
	def.Build = decodeBuild(r, o)
	raw, _ := o.Take("parameters")
	def.Parameters = r.Parameters(raw)
	o.Rest()
	def.Problems, def.Warnings = r.Findings()
	return def
}

// decodeBuild reads what a request says beside whom it is about. Its findings
// stay in r.
func decodeBuild(r *throng.Reader, o *throng.Object) (b service.Build) {
	b.CallbackURL = optionalText(r, o, "callback_url")
	b.InsightCallbackURL = insightURL(r, o)
	if raw, ok := o.Take("generate_insights_automatically"); ok {
		b.AutoInsight = r.Flag(raw, o.At("generate_insights_automatically"))
	}
	if raw, ok := o.Take("outputs"); ok {
		if list, ok := r.List(raw, o.At("outputs")); ok {
			b.Outputs = outputs(r, list)
		}
	}
	return b
}

func outputs(r *throng.Reader, list []json.RawMessage) *[]string {
	types := []string{}
	for i, raw := range list {
		if s, ok := r.Text(raw, fmt.Sprintf("outputs[%d]", i)); ok {
			types = append(types, s)
		}
	}
	return &types
}

func optionalText(r *throng.Reader, o *throng.Object, key string) string {
	raw, ok := o.Take(key)
	if !ok {
		return ""
	}
	s, _ := r.Text(raw, o.At(key))
	return s
}

// decodeRegenerate reads the body of POST /audiences/{id}/regenerate, which
// may be empty.
func decodeRegenerate(body []byte) service.Build {
	if body == nil {
		return service.Build{}
	}
	r := &throng.Reader{}
	var b service.Build
	if o := r.Object(body, ""); o != nil {
		b = decodeBuild(r, o)
		o.Rest()
	}
	b.Problems, b.Warnings = r.Findings()
	return b
}
