package wire

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type jsonInput struct {
	Name   string            `json:"name"`
	Items  []jsonItem        `json:"items"`
	Tags   map[string]string `json:"tags"`
	At     *Time             `json:"at"`
	Free   any               `json:"free"`
	Path   string            `json:"-" path:"cluster"`
	Max    int               `json:"-" query:"maxResults"`
	Kinds  []string          `json:"-" query:"kind"`
	Strict *bool             `json:"strict"`
}

type jsonItem struct {
	Key string `json:"key"`
}

func TestDecodeJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		want       jsonInput
		wantErr    string
	}{
		{name: "empty", body: "", want: jsonInput{}},
		{name: "all", body: `{"name":"a","items":[{"key":"k"}],"tags":{"x":"y"},"at":1.5}`, want: jsonInput{Name: "a", Items: []jsonItem{{Key: "k"}}, Tags: map[string]string{"x": "y"}, At: &Time{time.UnixMilli(1500).UTC()}}},
		{name: "null is absent", body: `{"name":null,"at":null}`, want: jsonInput{}},
		{name: "free form", body: `{"free":{"Any":1}}`, want: jsonInput{Free: map[string]any{"Any": 1.0}}},
		{name: "other case", body: `{"Name":"a"}`, wantErr: "NotImplemented: the simulator has no member Name"},
		{name: "unknown inside", body: `{"items":[{},{"kye":"k"}]}`, wantErr: "member items[1].kye"},
		{name: "path variables are not members", body: `{"Path":"a"}`, wantErr: "member Path"},
		{name: "no object", body: `[]`, wantErr: "SerializationException"},
		{name: "two values", body: `{} {}`, wantErr: "more than one"},
		{name: "wrong type", body: `{"name":1}`, wantErr: "SerializationException"},
		{name: "list for object", body: `{"tags":[]}`, wantErr: "SerializationException"},
		{name: "text for time", body: `{"at":"2026-01-01T00:00:00Z"}`, wantErr: "SerializationException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got jsonInput
			err := decodeJSON([]byte(c.body), reflect.ValueOf(&got))
			if c.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), c.wantErr) {
					t.Fatalf("error %v, want %q", err, c.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add([]byte(`{"name":"a","items":[{"key":"k"}],"tags":{"x":"y"},"at":1.5}`))
	f.Add([]byte(`{"free":[1,{"a":null}],"at":-1e300}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var in jsonInput
		if err := decodeJSON(body, reflect.ValueOf(&in)); err != nil {
			if Code(err) == "" {
				t.Fatalf("%v is not AWS's error", err)
			}
			return
		}
		raw, err := encodeJSON(in)
		if err != nil {
			t.Fatal(err)
		}
		var again jsonInput
		if err := json.Unmarshal(raw, &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(in, again, cmp.Comparer(func(a, b Time) bool { return a.Equal(b.Time) }), cmp.Comparer(emptyIsNil)); diff != "" {
			t.Fatalf("%s comes back differently: %s", body, diff)
		}
	})
}

func emptyIsNil(a, b []jsonItem) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}

func restService() *Service {
	s := &Service{Name: "eks", Protocol: RESTJSON}
	none := Handler{in: reflect.TypeFor[jsonInput](), out: reflect.TypeFor[struct{}]()}
	s.Route("Describe", "GET /clusters/{cluster}", none)
	s.Route("Versions", "GET /clusters/all", none)
	s.Route("Tag", "POST /tags/{resourceArn}", none)
	return s
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	s := restService()
	for _, c := range []struct {
		method, url, want string
		vars              map[string]string
	}{
		{"GET", "/clusters/c1", "Describe", map[string]string{"cluster": "c1"}},
		{"GET", "/clusters/all", "Versions", map[string]string{}},
		{"GET", "/clusters/a%2Fb", "Describe", map[string]string{"cluster": "a/b"}},
		{"POST", "/tags/arn%3Aaws%3Aeks%3Aus-west-2%3A111122223333%3Acluster%2Fc1", "Tag", map[string]string{"resourceArn": "arn:aws:eks:us-west-2:111122223333:cluster/c1"}},
		{"POST", "/clusters/c1", "", nil},
		{"GET", "/clusters/", "", nil},
		{"GET", "/clusters/c1/", "", nil},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, c.url, nil)
		o, vars := s.match(r)
		got := ""
		if o != nil {
			got = o.Name
		}
		if got != c.want || o != nil && !reflect.DeepEqual(vars, c.vars) {
			t.Errorf("%s %s: %s %v, want %s %v", c.method, c.url, got, vars, c.want, c.vars)
		}
	}
}

func TestDecodeREST(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/clusters/c1?maxResults=5&kind=a&kind=b", nil)
	var in jsonInput
	if err := decodeREST(r, map[string]string{"cluster": "c1"}, []byte(`{"name":"n"}`), reflect.ValueOf(&in)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(jsonInput{Name: "n", Path: "c1", Max: 5, Kinds: []string{"a", "b"}}, in); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"/?maxresults=5", "/?maxResults=x", "/?maxResults=1&maxResults=2"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, bad, nil)
		if err := decodeREST(r, nil, nil, reflect.ValueOf(&jsonInput{})); Code(err) == "" {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
