package wire

import (
	"encoding/json"
	"testing"
)

func TestParameters(t *testing.T) {
	t.Parallel()
	type scaling struct {
		DesiredSize *int `json:"desiredSize"`
	}
	type rest struct {
		Cluster string   `json:"-" path:"name"`
		Force   bool     `json:"-" query:"force"`
		Scaling *scaling `json:"scalingConfig"`
		Unset   *scaling `json:"unset"`
	}
	type settings struct{ MinSize int }
	type query struct {
		settings
		Name  string `form:"AutoScalingGroupName"`
		Zones []string
		Since Time
		Blob  []byte
	}
	three, since := 3, Time{}
	if err := since.UnmarshalText([]byte("1970-01-01T00:00:05Z")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		protocol Protocol
		in       any
		want     string
	}{
		{RESTJSON, &rest{Cluster: "dev", Force: true, Scaling: &scaling{&three}}, `{"force":true,"name":"dev","scalingConfig":{"desiredSize":3}}`},
		{Query, &query{settings{2}, "a", []string{"x"}, since, []byte("s")}, `{"autoScalingGroupName":"a","blob":null,"minSize":2,"since":5,"zones":["x"]}`},
		{JSON, &struct{}{}, `{}`},
	} {
		got, err := json.Marshal(Parameters(tt.protocol, tt.in))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v, want %s", tt.protocol, got, err, tt.want)
		}
	}
}
