package console

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/muniment/muniment/proofs"
)

// members are what the members of a record are called, by name; party.*. and label.* stand
// for all of theirs, with the number or name filled in.
var members = map[string]said{
	"id":                            {"存证编号", "Deposit id"},
	"tenant.name":                   {"存证主体", "Depositor"},
	"tenant.registration":           {"登记号", "Registered number"},
	"tenant.verified":               {"身份核验方式", "Identity established"},
	"tenant.verified.by":            {"身份核验方", "Established by"},
	"depositor.name":                {"经办人", "Deposited by"},
	"depositor.key":                 {"存证人密钥", "Depositor's key"},
	"depositor.signature":           {"存证人签名", "Depositor's signature"},
	"depositor.signed":              {"签名所及字段", "Members signed"},
	"depositor.key.registered":      {"密钥已登记", "Key registered"},
	"content.sha256":                {"SHA-256", "SHA-256"},
	"content.sm3":                   {"SM3", "SM3"},
	"content.size":                  {"大小（字节）", "Size (bytes)"},
	"content.type":                  {"类型", "Type"},
	"content.name":                  {"名称", "Name"},
	"content.held":                  {"原件已保存", "Original kept"},
	"content.signatures":            {"PDF 内的签名", "Signatures inside the PDF"},
	"contract.number":               {"合同编号", "Contract number"},
	"contract.title":                {"合同名称", "Contract title"},
	"contract.date":                 {"合同日期", "Contract date"},
	"contract.version":              {"合同版本", "Contract version"},
	"case.seq":                      {"案卷中的次序", "Place in the case"},
	"case.prev":                     {"前一项（叶哈希）", "Predecessor (leaf)"},
	"terms.amount":                  {"金额", "Amount"},
	"terms.currency":                {"币种", "Currency"},
	"terms.rate":                    {"利率", "Rate"},
	"terms.start":                   {"起始日", "Start"},
	"terms.end":                     {"到期日", "End"},
	"provenance.system":             {"来源系统", "Source system"},
	"provenance.generated":          {"生成时间（陈述）", "Generated (claimed)"},
	"provenance.received":           {"接收时间", "Received"},
	"log.origin":                    {"日志", "Log"},
	"log.key":                       {"日志密钥", "Log key"},
	"party.*.name":                  {"当事人 %s：名称", "Party %s: name"},
	"party.*.role":                  {"当事人 %s：身份", "Party %s: role"},
	"party.*.id.type":               {"当事人 %s：证件类型", "Party %s: kind of id"},
	"party.*.id.number":             {"当事人 %s：证件号码", "Party %s: id number"},
	"party.*.address":               {"当事人 %s：住址", "Party %s: address"},
	"party.*.phone":                 {"当事人 %s：电话", "Party %s: telephone"},
	"label.*":                       {"标签 %s", "Label %s"},
	"content.signatures.unexamined": {"PDF 内的签名未检查", "Signatures inside the PDF not examined"},
}

// memberRow is a member of a record, as a page shows it.
type memberRow struct {
	Name  string
	Value proofs.Value
}

// groups puts the members of a record that pages show as they stand into the groups in
// which people look for them.
func groups(record proofs.Record) []group {
	out := []group{{Name: "document"}, {Name: "contract"}, {Name: "parties"}, {Name: "terms"}, {Name: "origin"}, {Name: "labels"}, {Name: "other"}}
	for _, m := range record {
		g := len(out) - 1
		switch family, _, _ := strings.Cut(m.Name, "."); family {
		case "content":
			g = 0
		case "contract", "case":
			g = 1
		case "party":
			g = 2
		case "terms":
			g = 3
		case "provenance", "depositor", "tenant":
			g = 4
		case "label":
			g = 5
		}
		out[g].Members = append(out[g].Members, memberRow{m.Name, m.Value})
	}
	return out
}

type group struct {
	Name    string
	Members []memberRow
}

// value is a member's value for people.
func (lang speaker) value(name string, v proofs.Value) string {
	text, isText := v.Text()
	n, isWhole := v.Integer()
	kind, _ := proofs.NameType(name)
	switch {
	case isText && kind == proofs.TypeTime:
		return lang.moment(text)
	case isText:
		return text
	case isWhole:
		return count(n)
	}
	switch v.JSON() {
	case "true":
		return words["yes"].in(string(lang))
	case "false":
		return words["no"].in(string(lang))
	case "[]", "{}":
		return words["none"].in(string(lang))
	}
	return indented(v.JSON())
}

// indented is a value that is neither, with its parts on lines of their own.
func indented(text string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(text), "", "  ") != nil {
		return text
	}
	return b.String()
}
