package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		kind Kind
		want string // of the error
	}{
		"identity":           {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`, Identity, ""},
		"one statement":      {`{"Statement":{"Sid":"a","Effect":"Deny","NotAction":["iam:*"],"NotResource":["arn:aws:s3:::b"]}}`, Identity, ""},
		"trust":              {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["eks.amazonaws.com"]},"Action":"sts:AssumeRole"}]}`, Trust, ""},
		"trust in everybody": {`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`, Trust, ""},
		"conditions":         {`{"Statement":[{"Effect":"Allow","Principal":{"Federated":"arn"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"a:sub":["x"],"a:aud":"y"},"Bool":{"b":true}}}]}`, Trust, ""},
		"no JSON":            {`{`, Identity, "Syntax errors"},
		"unknown member":     {`{"Statement":[{"Effect":"Allow","Actoin":"s3:*","Resource":"*"}]}`, Identity, "Syntax errors"},
		"other version":      {`{"Version":"2020-01-01","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`, Identity, "Syntax errors"},
		"no statement":       {`{"Statement":[]}`, Identity, "Syntax errors"},
		"no effect":          {`{"Statement":[{"Action":"s3:*","Resource":"*"}]}`, Identity, "Syntax errors"},
		"two actions":        {`{"Statement":[{"Effect":"Allow","Action":"s3:*","NotAction":"s3:*","Resource":"*"}]}`, Identity, "Syntax errors"},
		"action alone":       {`{"Statement":[{"Effect":"Allow","Action":"GetObject","Resource":"*"}]}`, Identity, "prefaced by a vendor"},
		"no resource":        {`{"Statement":[{"Effect":"Allow","Action":"s3:*"}]}`, Identity, "must contain resources"},
		"resource no ARN":    {`{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"b/*"}]}`, Identity, "ARN format"},
		"principal":          {`{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*","Principal":"*"}]}`, Identity, "should not specify a principal"},
		"trust's resource":   {`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*","Principal":"*"}]}`, Trust, "prohibited field Resource"},
		"trust in nobody":    {`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole"}]}`, Trust, "Missing required field Principal"},
		"trust's action":     {`{"Statement":[{"Effect":"Allow","Action":"s3:*","Principal":"*"}]}`, Trust, "only specify STS"},
		"kind of principal":  {`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Robot":"x"}}]}`, Trust, "Invalid principal"},
		"service's name":     {`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"eks"}}]}`, Trust, "Invalid principal"},
		"other star":         {`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"all"}]}`, Trust, "Syntax errors"},
		"object for text":    {`{"Statement":[{"Effect":"Allow","Action":{"a":"b"},"Resource":"*"}]}`, Identity, "Syntax errors"},
	} {
		_, err := Parse(c.text, c.kind)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func trust(t *testing.T, statement string) *Document {
	t.Helper()
	d, err := Parse(`{"Version":"2012-10-17","Statement":[`+statement+`]}`, Trust)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAllows(t *testing.T) {
	t.Parallel()
	dev := Request{Action: "sts:AssumeRole", Kind: "AWS", Name: "arn:aws:iam::111122223333:user/dev", Account: "111122223333", Context: map[string]string{"sts:ExternalId": "x"}}
	other := dev
	other.Name, other.Account = "arn:aws:iam::444455556666:user/dev", "444455556666"
	allow := func(rest string) string { return `{"Effect":"Allow","Action":"sts:AssumeRole",` + rest + `}` }
	for name, c := range map[string]struct {
		statement    string
		us, stranger bool
	}{
		"account's root":      {allow(`"Principal":{"AWS":"arn:aws:iam::111122223333:root"}`), true, false},
		"account's number":    {allow(`"Principal":{"AWS":["111122223333"]}`), true, false},
		"user":                {allow(`"Principal":{"AWS":"arn:aws:iam::111122223333:user/dev"}`), true, false},
		"other user":          {allow(`"Principal":{"AWS":"arn:aws:iam::111122223333:user/ops"}`), false, false},
		"everybody":           {allow(`"Principal":"*"`), true, true},
		"any AWS":             {allow(`"Principal":{"AWS":"*"}`), true, true},
		"service":             {allow(`"Principal":{"Service":"eks.amazonaws.com"}`), false, false},
		"all but":             {allow(`"NotPrincipal":{"AWS":"arn:aws:iam::444455556666:user/dev"}`), true, false},
		"denied":              {allow(`"Principal":"*"`) + `,{"Effect":"Deny","Action":"sts:*","Principal":{"AWS":"444455556666"}}`, true, false},
		"external id":         {allow(`"Principal":"*","Condition":{"StringEquals":{"sts:externalid":["x","y"]}}`), true, true},
		"wrong external id":   {allow(`"Principal":"*","Condition":{"StringEquals":{"sts:ExternalId":"z"}}`), false, false},
		"like":                {allow(`"Principal":"*","Condition":{"StringLike":{"sts:ExternalId":"*"}}`), true, true},
		"unlike":              {allow(`"Principal":"*","Condition":{"StringNotEquals":{"sts:ExternalId":"x"}}`), false, false},
		"absent key":          {allow(`"Principal":"*","Condition":{"StringEquals":{"aws:SourceAccount":"x"}}`), false, false},
		"absent if exists":    {allow(`"Principal":"*","Condition":{"StringEqualsIfExists":{"aws:SourceAccount":"x"}}`), true, true},
		"unknown operator":    {allow(`"Principal":"*","Condition":{"NumericEquals":{"sts:ExternalId":"x"}}`), false, false},
		"other action":        {`{"Effect":"Allow","Action":"sts:TagSession","Principal":"*"}`, false, false},
		"any action but":      {`{"Effect":"Allow","NotAction":"sts:TagSession","Principal":"*"}`, true, true},
		"action's wildcard":   {`{"Effect":"Allow","Action":"sts:Assume*","Principal":"*"}`, true, true},
		"action's other case": {`{"Effect":"Allow","Action":"sts:assumerole","Principal":"*"}`, true, true},
	} {
		d := trust(t, c.statement)
		if us, stranger := d.Allows(dev), d.Allows(other); us != c.us || stranger != c.stranger {
			t.Errorf("%s: us %v, a stranger %v", name, us, stranger)
		}
	}
}

func TestTrusted(t *testing.T) {
	t.Parallel()
	d := trust(t, `{"Effect":"Allow","Principal":{"Service":["pods.eks.amazonaws.com","ec2.amazonaws.com"]},"Action":["sts:TagSession","sts:AssumeRole"]},{"Effect":"Deny","Principal":{"Service":"x.y"},"Action":"sts:AssumeRole"}`)
	if diff := cmp.Diff([]string{"ec2.amazonaws.com", "pods.eks.amazonaws.com"}, d.Trusted()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"sts:AssumeRole", "sts:TagSession"}, d.Actions()); diff != "" {
		t.Error(diff)
	}
}

// TestWildcard compares the matcher with the definition: a star is any text, a question mark any character.
func TestWildcard(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*?]{0,6}`).Draw(t, "pattern")
		value := rapid.StringMatching(`[ab]{0,6}`).Draw(t, "value")
		if got, want := wildcard(pattern, value), defined(pattern, value); got != want {
			t.Fatalf("%q against %q: %v", pattern, value, got)
		}
	})
}

func defined(pattern, value string) bool {
	switch {
	case pattern == "":
		return value == ""
	case pattern[0] == '*':
		return slices.ContainsFunc(tails(value), func(tail string) bool { return defined(pattern[1:], tail) })
	}
	return value != "" && (pattern[0] == '?' || pattern[0] == value[0]) && defined(pattern[1:], value[1:])
}

func tails(s string) []string {
	out := []string{}
	for i := range len(s) + 1 {
		out = append(out, s[i:])
	}
	return out
}

func FuzzParse(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Condition":{"Bool":{"a":true}}}]}`, true)
	f.Add(`{"Statement":{"Effect":"Allow","Action":["s3:*"],"Resource":"*"}}`, false)
	f.Fuzz(func(t *testing.T, text string, asTrust bool) {
		kind := Identity
		if asTrust {
			kind = Trust
		}
		d, err := Parse(text, kind)
		if err != nil {
			return
		}
		if !json.Valid([]byte(text)) || len(d.Statement) == 0 {
			t.Fatalf("%q was accepted", text)
		}
		if d.Allows(Request{Action: "sts:AssumeRole", Kind: "AWS", Name: "x", Account: "y"}) && !strings.Contains(text, "Allow") {
			t.Fatalf("%q allows", text)
		}
	})
}
