package eks

import (
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// pretence gives stacks other statuses than they have, in every answer.
type pretence struct {
	way      http.RoundTripper
	statuses map[string]string
}

func (p pretence) RoundTrip(q *http.Request) (*http.Response, error) {
	answer, err := p.way.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return nil, err
	}
	status := regexp.MustCompile("<StackStatus>[A-Z_]*<")
	members := strings.Split(string(body), "<member>")
	for i, m := range members {
		for stack, now := range p.statuses {
			if strings.Contains(m, "<StackName>"+stack+"<") {
				members[i] = status.ReplaceAllString(m, "<StackStatus>"+now+"<")
			}
		}
	}
	said := strings.Join(members, "<member>")
	answer.Body, answer.ContentLength = io.NopCloser(strings.NewReader(said)), int64(len(said))
	return answer, nil
}
