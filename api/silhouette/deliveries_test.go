package silhouette

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/delivery"
	"throng/service"
)

func TestDecodeDelivery(t *testing.T) {
	for _, test := range []struct {
		name, body string
		want       service.DeliveryOrder
	}{
		{
			"all", `{"to":"drop","name":"N","endpoint":"https://a.example/","platform":"mix","ma_id_as":"idfa","update":"17","wait":true,
			"credentials":{"name":"main","access_key":"A","api_key":"K"}}`,
			service.DeliveryOrder{
				To: "drop", Name: "N", Endpoint: "https://a.example/", Platform: "mix", PlainAs: "idfa", Update: "17", Wait: true,
				Credentials: service.DeliveryCredentials{Name: "main", Secret: delivery.Secret{AccessKey: "A", APIKey: "K"}},
			},
		},
		{"nothing", `{}`, service.DeliveryOrder{}},
		{"nulls are as if absent", `{"to":null,"update":null,"wait":null,"credentials":null}`, service.DeliveryOrder{}},
		{"a number for an id", `{"update": 17 }`, service.DeliveryOrder{Update: "17"}},
		{"unknown keys", `{"color":1,"credentials":{"token":"x"}}`, service.DeliveryOrder{Warnings: []string{
			"credentials.token is not a known key and was ignored", "color is not a known key and was ignored",
		}}},
		{"all that is wrong", `{"to":1,"name":[],"endpoint":2,"platform":3,"ma_id_as":{},"update":1.5,"wait":"yes","credentials":{"name":1,"access_key":2,"api_key":3}}`, service.DeliveryOrder{
			Problems: []throng.Detail{
				{Path: "to", Message: "must be a string"},
				{Path: "name", Message: "must be a string"},
				{Path: "endpoint", Message: "must be a string"},
				{Path: "platform", Message: "must be a string"},
				{Path: "ma_id_as", Message: "must be a string"},
				{Path: "update", Message: "must be a string"},
				{Path: "wait", Message: "must be true or false"},
				{Path: "credentials.name", Message: "must be a string"},
				{Path: "credentials.access_key", Message: "must be a string"},
				{Path: "credentials.api_key", Message: "must be a string"},
			},
		}},
		{"credentials are a text", `{"credentials":"secret"}`, service.DeliveryOrder{Problems: []throng.Detail{{Path: "credentials", Message: "must be an object"}}}},
		{"no object", `[]`, service.DeliveryOrder{Problems: []throng.Detail{{Path: "body", Message: "must be an object"}}}},
	} {
		if diff := cmp.Diff(test.want, DecodeDelivery([]byte(test.body))); diff != "" {
			t.Errorf("DecodeDelivery(%s) (-want +got):\n%s", test.name, diff)
		}
	}
}

func FuzzDecodeDelivery(f *testing.F) {
	f.Add(`{"to":"drop","name":"N","update":17,"wait":true,"credentials":{"name":"main","access_key":"AAAA","api_key":"KKKK"}}`)
	f.Fuzz(func(t *testing.T, body string) {
		d := DecodeDelivery([]byte(body))
		for _, secret := range []string{d.Credentials.Secret.AccessKey, d.Credentials.Secret.APIKey} {
			for _, p := range d.Problems {
				if len(secret) > 20 && strings.Contains(p.Path+p.Message, secret) {
					t.Errorf("a problem tells a secret: %+v", p)
				}
			}
		}
	})
}
