package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"maps"
	"net/http"
	"strconv"
)

func contentType(p Protocol) string {
	switch p {
	case JSON:
		return "application/x-amz-json-1.1"
	case RESTJSON:
		return "application/json"
	case EC2:
		return "text/xml;charset=UTF-8"
	case Query:
	}
	return "text/xml"
}

func writeReply(w http.ResponseWriter, s *Service, id string, reply *Reply) {
	maps.Copy(w.Header(), reply.Header)
	write(w, s.Protocol, id, reply.Status, reply.Body)
}

func write(w http.ResponseWriter, p Protocol, id string, status int, body []byte) {
	w.Header().Set("Content-Type", contentType(p))
	w.Header().Set("X-Amzn-Requestid", id)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone; there is nobody left to tell
}

// writeError writes err in the envelope of the service's protocol; a nil service gets query's.
func writeError(w http.ResponseWriter, s *Service, id string, err *Error) {
	if s == nil {
		s = &Service{Protocol: Query, Namespace: "http://webservices.amazon.com/AWSFault/2005-15-09"}
	}
	body := EncodeError(s, id, err)
	if s.Protocol == JSON || s.Protocol == RESTJSON {
		w.Header().Set("X-Amzn-Errortype", err.Code)
		if err.Query != "" {
			w.Header().Set("X-Amzn-Query-Error", err.Query+";"+blame(err))
		}
	}
	write(w, s.Protocol, id, err.StatusCode(), body)
}

// EncodeError is the body in which a service tells an error.
func EncodeError(s *Service, id string, err *Error) []byte {
	var b bytes.Buffer
	text := func(name, value string) {
		open(&b, name)
		_ = xml.EscapeText(&b, []byte(value)) // a bytes.Buffer does not fail
		shut(&b, name)
	}
	switch s.Protocol {
	case JSON, RESTJSON:
		members := map[string]any{"message": err.Message}
		if s.Protocol == JSON {
			members["__type"] = err.Code
		}
		maps.Copy(members, err.Members)
		body, encErr := encodeJSON(members)
		if encErr != nil {
			return []byte(`{"message":"an error whose members cannot be encoded"}`)
		}
		return body
	case EC2:
		b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>")
		text("Code", err.Code)
		text("Message", err.Message)
		b.WriteString("</Error></Errors>")
		text("RequestID", id)
		b.WriteString("</Response>")
	case Query:
		b.WriteString("<ErrorResponse xmlns=\"" + s.Namespace + "\"><Error>")
		text("Type", blame(err))
		text("Code", err.Code)
		text("Message", err.Message)
		b.WriteString("</Error>")
		text("RequestId", id)
		b.WriteString("</ErrorResponse>")
	}
	return b.Bytes()
}

// blame says whose fault an error is.
func blame(err *Error) string {
	if err.StatusCode() >= http.StatusInternalServerError {
		return "Receiver"
	}
	return "Sender"
}

// refusal words a signature fault as the protocol does.
// Sources: the services' "Common Errors" pages and what their endpoints answer.
//
//	fault        query                      ec2            json, rest-json
//	not signed   MissingAuthenticationToken AuthFailure    MissingAuthenticationTokenException
//	unknown key  InvalidClientTokenId       AuthFailure    UnrecognizedClientException
//	expired      ExpiredToken               RequestExpired ExpiredTokenException
//	stale        SignatureDoesNotMatch      RequestExpired InvalidSignatureException
//	mismatch     SignatureDoesNotMatch      AuthFailure    InvalidSignatureException
func refusal(err error, p Protocol) *Error {
	sig, ok := errors.AsType[*SignatureError](err)
	if !ok {
		return asError(err)
	}
	type codes struct{ query, ec2, json string }
	table := map[Fault]codes{
		NotSigned:   {"MissingAuthenticationToken", "AuthFailure", "MissingAuthenticationTokenException"},
		Incomplete:  {"IncompleteSignature", "AuthFailure", "IncompleteSignatureException"},
		UnknownKey:  {"InvalidClientTokenId", "AuthFailure", "UnrecognizedClientException"},
		WrongToken:  {"InvalidClientTokenId", "AuthFailure", "UnrecognizedClientException"},
		Expired:     {"ExpiredToken", "RequestExpired", "ExpiredTokenException"},
		Stale:       {"SignatureDoesNotMatch", "RequestExpired", "InvalidSignatureException"},
		Mismatch:    {"SignatureDoesNotMatch", "AuthFailure", "InvalidSignatureException"},
		WrongRegion: {"SignatureDoesNotMatch", "AuthFailure", "InvalidSignatureException"},
	}
	c := table[sig.Fault]
	switch p {
	case EC2:
		text := sig.Text
		if c.ec2 == "AuthFailure" && sig.Fault != WrongRegion {
			text = "AWS was not able to validate the provided access credentials"
		}
		return StatusErrorf(http.StatusUnauthorized, c.ec2, "%s", text)
	case JSON:
		return StatusErrorf(http.StatusBadRequest, c.json, "%s", sig.Text)
	case RESTJSON:
		return StatusErrorf(http.StatusForbidden, c.json, "%s", sig.Text)
	case Query:
	}
	return StatusErrorf(http.StatusForbidden, c.query, "%s", sig.Text)
}
