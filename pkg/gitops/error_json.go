package gitops

import (
	"encoding/json"
	"errors"
)

// errorDocument is the stored form of an Error.
type errorDocument struct {
	Reason  Reason `json:"reason"`
	Ref     *Ref   `json:"ref,omitempty"`
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Overlay string `json:"overlay,omitempty"`
	Try     string `json:"try,omitempty"`
}

// MarshalJSON gives {reason, ref, message, file, line, overlay, try}.
func (e *Error) MarshalJSON() ([]byte, error) {
	d := errorDocument{Reason: e.Reason, Message: e.Message(), File: e.From.File, Line: e.From.Line, Overlay: e.From.Overlay, Try: e.Try}
	if !e.Ref.IsZero() {
		d.Ref = &e.Ref
	}
	return json.Marshal(d)
}

// UnmarshalJSON reads what MarshalJSON wrote; the cause's type is lost, its text is kept.
func (e *Error) UnmarshalJSON(body []byte) error {
	var d errorDocument
	if err := json.Unmarshal(body, &d); err != nil {
		return err
	}
	*e = Error{Reason: d.Reason, Err: errors.New(d.Message), Try: d.Try}
	e.From = Origin{Position: Position{File: d.File, Line: d.Line}, Overlay: d.Overlay}
	if d.Ref != nil {
		e.Ref = *d.Ref
	}
	return nil
}
