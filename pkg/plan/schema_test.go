package plan_test

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// checkSchema validates a document against docs/schema/NAME.schema.json.
func checkSchema(t *testing.T, name string, document []byte) {
	t.Helper()
	if err := validate(t, name, document); err != nil {
		t.Errorf("the document does not follow docs/schema/%s.schema.json: %v", name, err)
	}
}

func validate(t *testing.T, name string, document []byte) error {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("../../docs/schema/" + name + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}
