package wire

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type formTag struct{ Key, Value string }

type formPage struct{ NextToken string }

type formInput struct {
	Name    string `form:"StackName"`
	Tags    []formTag
	Filters []formFilter `form:"Filter"`
	Flag    *bool
	Count   int
	Ratio   float64
	Since   *Time
	Blob    []byte
	Nested  *formTag
	Attrs   map[string]string
	formPage
	Hidden string `form:"-"`
}

type formFilter struct {
	Name   string
	Values []string `form:"Value"`
}

func TestDecodeForm(t *testing.T) {
	t.Parallel()
	yes := true
	for _, c := range []struct {
		name, query string
		protocol    Protocol
		want        formInput
		wantErr     string
	}{
		{name: "scalars", protocol: Query, query: "Action=X&Version=1&StackName=a&Flag=True&Count=3&Ratio=0.5&Blob=aGk=", want: formInput{Name: "a", Flag: &yes, Count: 3, Ratio: 0.5, Blob: []byte("hi")}},
		{name: "query list", protocol: Query, query: "Tags.member.2.Key=b&Tags.member.2.Value=&Tags.member.1.Key=a&Tags.member.10.Key=c", want: formInput{Tags: []formTag{{Key: "a"}, {Key: "b"}, {Key: "c"}}}},
		{name: "ec2 list", protocol: EC2, query: "Filter.1.Name=vpc-id&Filter.1.Value.1=v1&Filter.1.Value.2=v2", want: formInput{Filters: []formFilter{{Name: "vpc-id", Values: []string{"v1", "v2"}}}}},
		{name: "empty list", protocol: Query, query: "Tags=", want: formInput{Tags: []formTag{}}},
		{name: "structure", protocol: Query, query: "Nested.Key=k", want: formInput{Nested: &formTag{Key: "k"}}},
		{name: "map", protocol: Query, query: "Attrs.entry.1.key=k&Attrs.entry.1.value=v", want: formInput{Attrs: map[string]string{"k": "v"}}},
		{name: "signature parameters are none of the operation's", protocol: Query, query: "X-Amz-Date=x&StackName=a", want: formInput{Name: "a"}},
		{name: "embedded", protocol: Query, query: "NextToken=n", want: formInput{formPage: formPage{NextToken: "n"}}},
		{name: "unknown", protocol: Query, query: "Stackname=a", wantErr: "NotImplemented: the simulator has no parameter Stackname"},
		{name: "unknown inside", protocol: EC2, query: "Filter.1.Nom=a", wantErr: "parameter Filter.1.Nom"},
		{name: "hidden", protocol: Query, query: "Hidden=a", wantErr: "parameter Hidden"},
		{name: "twice", protocol: Query, query: "StackName=a&StackName=b", wantErr: "more than once"},
		{name: "not a number", protocol: EC2, query: "Count=x", wantErr: "InvalidParameterValue"},
		{name: "overflow", protocol: Query, query: "Count=99999999999999999999", wantErr: "MalformedInput"},
		{name: "not a boolean", protocol: Query, query: "Flag=yes", wantErr: "MalformedInput"},
		{name: "not a time", protocol: Query, query: "Since=yesterday", wantErr: "timestamp"},
		{name: "list without member", protocol: Query, query: "Tags.1.Key=a", wantErr: "want Tags.member.N"},
		{name: "no position", protocol: EC2, query: "Filter.x.Name=a", wantErr: "no position"},
		{name: "padded position", protocol: EC2, query: "Filter.01.Name=a", wantErr: "no position"},
		{name: "scalar with parts", protocol: Query, query: "StackName.a=b", wantErr: "no parts"},
		{name: "structure without parts", protocol: Query, query: "Nested=a", wantErr: "has parts"},
		{name: "map without entries", protocol: Query, query: "Attrs.k=v", wantErr: "entry.N.key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			values, err := url.ParseQuery(c.query)
			if err != nil {
				t.Fatal(err)
			}
			var got formInput
			err = decodeForm(values, c.protocol, reflect.ValueOf(&got))
			if c.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), c.wantErr) {
					t.Fatalf("error %v, want %q", err, c.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(formInput{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzDecodeForm(f *testing.F) {
	f.Add("StackName=a&Tags.member.1.Key=k", true)
	f.Add("Filter.1.Value.1=x&Since=2026-01-01T00:00:00Z", false)
	f.Add("Attrs.entry.1.key=k&Attrs.entry.1.value=v", true)
	f.Add("Tags.member=1&Tags.member.1.Key=&.=&..=", true)
	f.Fuzz(func(t *testing.T, query string, asQuery bool) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		protocol := EC2
		if asQuery {
			protocol = Query
		}
		var first, second formInput
		err = decodeForm(values, protocol, reflect.ValueOf(&first))
		again := decodeForm(values, protocol, reflect.ValueOf(&second))
		if (err == nil) != (again == nil) {
			t.Fatalf("%q: %v, then %v", query, err, again)
		}
		if err == nil {
			if diff := cmp.Diff(first, second, cmp.AllowUnexported(formInput{})); diff != "" {
				t.Fatalf("%q decodes in two ways: %s", query, diff)
			}
			return
		}
		if Code(err) == "" {
			t.Fatalf("%q: %v is not AWS's error", query, err)
		}
	})
}
