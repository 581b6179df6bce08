package schema_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/schema"
)

const text = `{
  "$ref": "#/definitions/Top", "$schema": "http://json-schema.org/draft-06/schema#",
  "definitions": {"Top": {"type": "object", "additionalProperties": false, "required": ["mode"], "properties": {
    "mode": {"type": "string", "enum": ["iptables", "ipvs"]}, "replicas": {"type": "integer", "minimum": 1, "maximum": 9},
    "name": {"type": "string", "pattern": "^[a-z]+$"}, "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    "maybe": {"type": ["object", "null"]}, "list": {"type": "array", "items": {"type": "string"}},
    "env": {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}}}}
}`

func TestCheckSpeaksAsTheServiceDoes(t *testing.T) {
	t.Parallel()
	s, err := schema.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		doc  string
		want []string
	}{
		"fits":               {`{"mode":"ipvs","replicas":2,"either":"50%","maybe":null,"list":["a"],"env":{"A":"b"}}`, nil},
		"yaml fits":          {"mode: iptables\nreplicas: 3\n", nil},
		"unknown name":       {`{"mode":"ipvs","nodeSelector":{}}`, []string{"$.nodeSelector: is not defined in the schema and the schema does not allow additional properties"}},
		"wrong type":         {`{"mode":true}`, []string{"$.mode: boolean found, string expected"}},
		"not in enum":        {`{"mode":"x"}`, []string{"$.mode: does not have a value in the enumeration [iptables ipvs]"}},
		"missing":            {``, []string{"$.mode: is missing but it is required"}},
		"below":              {`{"mode":"ipvs","replicas":0}`, []string{"$.replicas: must have a minimum value of 1"}},
		"above":              {`{"mode":"ipvs","replicas":10}`, []string{"$.replicas: must have a maximum value of 9"}},
		"fraction":           {`{"mode":"ipvs","replicas":1.5}`, []string{"$.replicas: number found, integer expected"}},
		"pattern":            {`{"mode":"ipvs","name":"A"}`, []string{"$.name: does not match the regex pattern ^[a-z]+$"}},
		"neither":            {`{"mode":"ipvs","either":true}`, []string{"$.either: boolean found, integer expected"}},
		"one of two types":   {`{"mode":"ipvs","maybe":[]}`, []string{"$.maybe: array found, [object, null] expected"}},
		"item":               {`{"mode":"ipvs","list":["a",2]}`, []string{"$.list[1]: integer found, string expected"}},
		"values of a map":    {`{"mode":"ipvs","env":{"A":1}}`, []string{"$.env.A: integer found, string expected"}},
		"too few":            {`{"mode":"ipvs","env":{}}`, []string{"$.env: should have a minimum of 1 properties"}},
		"not even an object": {`3`, []string{"$: integer found, object expected"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := schema.Document(c.doc)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, s.Check(doc)); diff != "" {
				t.Errorf("complaints (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{`{"oneOf":[]}`, `{"properties":{"a":{"not":{}}}}`, `{"properties":{"a":3}}`, `[]`} {
		if _, err := schema.Parse(bad); err == nil {
			t.Errorf("Parse(%s) accepts it", bad)
		}
	}
}

func TestEveryAddonHasASchemaThatParses(t *testing.T) {
	t.Parallel()
	for _, a := range catalog.Addons() {
		s, err := schema.Parse(a.Schema)
		if err != nil {
			t.Errorf("%s: %v", a.Name, err)
			continue
		}
		if found := s.Check(map[string]any{}); len(found) > 0 {
			t.Errorf("%s does not take an empty configuration: %v", a.Name, found)
		}
		if found := s.Check(map[string]any{"noSuchThing": true}); len(found) != 1 {
			t.Errorf("%s takes an unknown name: %v", a.Name, found)
		}
	}
}

func FuzzDocument(f *testing.F) {
	s, err := schema.Parse(text)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "mode: ipvs", `{"mode":"ipvs"}`, "- a", "a: &x [*x]", "1: 2", "? {a: b}\n: c"} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, doc string) {
		if v, err := schema.Document(doc); err == nil {
			s.Check(v)
		}
	})
}
