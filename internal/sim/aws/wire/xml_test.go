package wire

import (
	"bytes"
	"encoding/xml"
	"reflect"
	"strings"
	"testing"
	"time"
)

type xmlOutput struct {
	ID     string            `xml:"vpcId"`
	Empty  string            `xml:"empty,omitempty"`
	Tags   []xmlTag          `xml:"tagSet>item"`
	Maybe  []string          `xml:"maybe>item,omitempty"`
	Flat   []int             `xml:"flat"`
	At     Time              `xml:"at"`
	Later  *Time             `xml:"later"`
	Yes    bool              `xml:"yes"`
	Inner  *xmlTag           `xml:"inner"`
	Attrs  map[string]string `xml:"attrs"`
	Data   []byte            `xml:"data"`
	Ratio  float64           `xml:"ratio"`
	Shadow string            `xml:"-"`
	xmlPage
}

type xmlPage struct {
	NextToken string `xml:",omitempty"`
}

type xmlTag struct{ Key, Value string }

func TestEncodeXML(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	for _, c := range []struct {
		name string
		in   xmlOutput
		want string
	}{
		{"empty", xmlOutput{}, `<vpcId></vpcId><tagSet></tagSet><yes>false</yes><attrs></attrs><data></data><ratio>0</ratio>`},
		{
			"full",
			xmlOutput{
				ID: "a<&>", Empty: "e", Tags: []xmlTag{{"k", "v"}, {"l", "w"}}, Maybe: []string{"m"}, Flat: []int{1, 2}, At: Time{at}, Later: At(at),
				Yes: true, Inner: &xmlTag{Key: "i"}, Attrs: map[string]string{"b": "2", "a": "1"}, Data: []byte("hi"), Ratio: 0.25, xmlPage: xmlPage{NextToken: "n"},
			},
			`<vpcId>a&lt;&amp;&gt;</vpcId><empty>e</empty><tagSet><item><Key>k</Key><Value>v</Value></item><item><Key>l</Key><Value>w</Value></item></tagSet>` +
				`<maybe><item>m</item></maybe><flat>1</flat><flat>2</flat><at>2026-01-02T03:04:05.678Z</at><later>2026-01-02T03:04:05.678Z</later><yes>true</yes>` +
				`<inner><Key>i</Key><Value></Value></inner><attrs><entry><key>a</key><value>1</value></entry><entry><key>b</key><value>2</value></entry></attrs>` +
				`<data>aGk=</data><ratio>0.25</ratio><NextToken>n</NextToken>`,
		},
	} {
		var b bytes.Buffer
		if err := encodeXML(&b, reflect.ValueOf(c.in)); err != nil {
			t.Fatal(err)
		}
		if b.String() != c.want {
			t.Errorf("%s:\n have %s\n want %s", c.name, b.String(), c.want)
		}
	}
	var b bytes.Buffer
	if err := encodeXML(&b, reflect.ValueOf(struct{ C chan int }{})); err == nil || !strings.Contains(err.Error(), "chan int") {
		t.Errorf("a channel was encoded: %v", err)
	}
}

// FuzzEncodeXML proves that whatever a text holds the answer stays well-formed XML that says the same.
func FuzzEncodeXML(f *testing.F) {
	f.Add("plain")
	f.Add("<a>&\"'\x00\xff]]>")
	f.Fuzz(func(t *testing.T, text string) {
		var b bytes.Buffer
		b.WriteString("<r>")
		if err := encodeXML(&b, reflect.ValueOf(xmlTag{Key: text})); err != nil {
			t.Fatal(err)
		}
		b.WriteString("</r>")
		var back xmlTag
		if err := xml.Unmarshal(b.Bytes(), &back); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		var escaped bytes.Buffer
		if err := xml.EscapeText(&escaped, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if !strings.ContainsRune(escaped.String(), '\uFFFD') && strings.ToValidUTF8(text, "") == text && back.Key != text {
			t.Fatalf("%q became %q", text, back.Key)
		}
	})
}

func TestTime(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2026-01-02T03:04:05Z": "2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05.5+01:00": "2026-01-02T02:04:05.500Z", "1.25": "1970-01-01T00:00:01.250Z",
	} {
		var got Time
		if err := got.UnmarshalText([]byte(in)); err != nil || got.String() != want {
			t.Errorf("%s: %s, %v; want %s", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "x", "1e300", "2026-13-01T00:00:00Z", "NaN"} {
		if err := new(Time).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was read as a time", bad)
		}
	}
	if At(time.Time{}) != nil {
		t.Error("a zero time is on the wire")
	}
}
