package proofs

import (
	"fmt"
	"strings"
)

// A Language is one in which Evidence explains itself.
type Language string

// The languages.
const (
	English Language = "en"
	Chinese Language = "zh"
)

// An Explanation is Evidence in plain words, for people who decide by it. Proved
// and NotProved are whole sentences.
type Explanation struct {
	Verdict   string   `json:"verdict"`
	Proved    []string `json:"proved"`
	NotProved []string `json:"not_proved"`
}

// phrase is one sentence in both languages; its verbs stand in the same order.
type phrase struct{ en, zh string }

func (p phrase) in(lang Language, args ...any) string {
	if lang == Chinese {
		return fmt.Sprintf(p.zh, args...)
	}
	return fmt.Sprintf(p.en, args...)
}

var verdicts = map[Outcome]phrase{
	Verified:  {"VERIFIED. Every check holds.", "验证通过：各项检查均成立。"},
	Refused:   {"REFUSED. Do not rely on this evidence. ", "验证不通过：请勿采信该证据。"},
	Undecided: {"UNDECIDED. The checks made hold, but they do not settle the matter. ", "无法判定：已做的检查未见矛盾，但不足以得出结论。"},
}

var reasons = map[Reason]phrase{
	ReasonMalformed:          {"The receipt is damaged, or is no receipt: its bytes are not in the one form a receipt has.", "回执已损坏或并非回执：其字节不符合回执的唯一格式。"},
	ReasonCommitment:         {"The description in the receipt is not the one fixed in the log: it was altered, or a part was left out.", "回执中的描述与日志所固定的不一致：内容被改动或有缺失。"},
	ReasonNote:               {"The checkpoint in the receipt is damaged, or is not from a Muniment log.", "回执中的检查点已损坏，或并非出自 Muniment 日志。"},
	ReasonUnknownLog:         {"The receipt comes from a log that your policy does not name.", "回执出自您的信任策略未列出的日志。"},
	ReasonLogSignature:       {"The log's signature is missing or does not match the checkpoint.", "日志签名缺失，或与检查点不符。"},
	ReasonWitness:            {"A witness named in your policy has a signature here that does not match the checkpoint.", "您的信任策略所列见证方的签名与检查点不符。"},
	ReasonQuorum:             {"Too few witnesses have signed for the rule of your policy.", "签名的见证方未达到您的信任策略所要求的数量。"},
	ReasonAlgorithm:          {"Your policy's quorum needs a signature in an algorithm that this verifier does not have.", "达到信任策略的法定数量所需的签名，使用了本验证程序不具备的算法。"},
	ReasonInclusion:          {"The receipt's path does not lead to the signed root: this entry does not stand at this place in the log.", "回执中的路径不能推导出已签名的根：该条目不在日志的此位置。"},
	ReasonDocument:           {"The receipt is sound, but this document is not the one that was deposited: its SHA-256 is another.", "回执本身有效，但此文件并非当时存证的文件：SHA-256 不同。"},
	ReasonNoDocument:         {"The receipt is sound, but its entry is not about any document.", "回执本身有效，但其条目不涉及任何文件。"},
	ReasonSM3:                {"The document's SHA-256 is that of the record, but its SM3 is not: the record contradicts itself.", "文件的 SHA-256 与描述一致，但 SM3 不一致：描述自相矛盾。"},
	ReasonDigestHidden:       {"The receipt does not show the document's SHA-256, so it cannot be compared with this document.", "回执未披露文件的 SHA-256，无法与此文件比对。"},
	ReasonPolicyFound:        {"Everything is consistent under a policy that you did not choose; anyone can make such a policy. Compare its fingerprint, %s, with the one that the depository published.", "在一份并非由您选定的信任策略下，各项内容相互一致；但任何人都可以制作这样的策略。请将其指纹 %s 与存证机构公布的指纹比对。"},
	ReasonTimestampMalformed: {"What stands in the receipt as a time-stamp is none: it is damaged.", "回执中作为时间戳的内容并非时间戳：已损坏。"},
	ReasonTimestampImprint:   {"A time-stamp in the receipt was made for something else, not for this state of the log.", "回执中的时间戳并非针对日志的这一状态，而是针对其他内容。"},
	ReasonTimestampSignature: {"A time-stamp in the receipt bears the name of an authority that you trust, and is not what that authority signed.", "回执中的时间戳以您信任的时间戳机构之名出具，但并非该机构所签。"},
	ReasonTimestampOrder:     {"The time-stamps in the receipt are not in the order of their times.", "回执中的时间戳未按时间顺序排列。"},
	ReasonTimestampTime:      {"An authority that you trust dated this state of the log before the time that the log itself gives for this entry: one of the two clocks is wrong.", "您信任的时间戳机构为日志这一状态所标的时间，早于日志为本条目所记的时间：两个时钟必有一个不准。"},
	ReasonEvidenceMalformed:  {"The evidence record is damaged, or is none.", "证据记录已损坏或并非证据记录。"},
	ReasonEvidenceNote:       {"The evidence record is about another state of the log than the receipt. Fetch both again together.", "证据记录所涉及的日志状态与回执不同。请重新一并获取两者。"},
	ReasonEvidenceRenewal:    {"A renewal in the evidence record does not belong to what stands before it.", "证据记录中的一次续期与其之前的内容不对应。"},
	ReasonEvidenceAuthority:  {"A link of the evidence record was not made by any authority that you trust.", "证据记录中有一环并非出自您信任的时间戳机构。"},
	ReasonEvidenceLapsed:     {"The evidence record was not renewed in time, or its last time-stamp has ended: ask the depository for a newer one.", "证据记录未及时续期，或其最后的时间戳已到期：请向存证机构索取更新的证据记录。"},
	ReasonDepositorSignature: {"The depositor's own signature in the description does not hold over it: the description contradicts itself.", "描述中存证人自身的签名与描述不符：描述自相矛盾。"},
	ReasonDepositorKey:       {"You ask for the depositor's own signature with a key that you named, and there is none in this receipt.", "您要求存证人以您指定的密钥签名，而该回执中没有这样的签名。"},
	ReasonDepositorUnchecked: {"You ask for the depositor's own signature. There is one, and it cannot be checked: the receipt hides what it covers, or it is in an algorithm that this verifier does not have.", "您要求存证人自身的签名。回执中有签名，但无法检查：回执隐藏了签名所涵盖的内容，或其算法为本验证程序所不具备。"},
	ReasonGenesisPlaced:      {"The entry's kind and its place in the log contradict each other.", "条目类型与其在日志中的位置相矛盾。"},
}

var (
	sayTest        = phrase{"TEST: no evidential value. The log %s is not a production log.", "测试数据：无证据效力。日志 %s 不是正式日志。"}
	sayMatches     = phrase{"The document is, bit for bit, the one this receipt is about (SHA-256 %s).", "此文件与回执所指文件逐位一致（SHA-256 %s）。"}
	sayMatchesSM3  = phrase{"Its SM3 is the one in the record too (%s).", "其 SM3 亦与描述一致（%s）。"}
	sayFixed       = phrase{"This is entry number %d of the log %s, which dated it %s.", "本条目编号为 %d，所在日志为 %s，日志记载时间为 %s。"}
	sayUnchanged   = phrase{"Entry and description are unchanged since the log signed its state of %d entries.", "自日志对含 %d 个条目的状态签名以来，条目与描述未被改动。"}
	sayHeld        = phrase{"The depository states that it received the document itself.", "存证机构声明收到了文件原件。"}
	sayWitness     = phrase{"The witness %s saw this state of the log at %s.", "见证方 %s 于 %s 见证了日志的这一状态。"}
	sayWitnessed   = phrase{"The witnesses that have signed are enough by your policy's rule: %s.", "已签名的见证方满足信任策略的规则：%s。"}
	sayQuorum      = phrase{" The rule is: %s. Signed: %s.", "规则为：%s。已签名：%s。"}
	sayNobody      = phrase{"nobody", "无"}
	ruleAll        = phrase{"all of (%s)", "全部（%s）"}
	ruleAny        = phrase{"any one of (%s)", "任意一个（%s）"}
	ruleSome       = phrase{"at least %d of (%s)", "至少 %d 个（%s）"}
	sayWords       = phrase{"That what the document says is true, or that any loan, debt or signature in it is valid.", "文件内容是否真实，其中的借款、债务或签名是否有效。"}
	sayBefore      = phrase{"What happened to the document before it was deposited.", "文件在存证之前的情况。"}
	sayClaims      = phrase{"The statements in the description that the depositor made: they are fixed as made, not examined.", "描述中由存证人作出的陈述：仅按原样固定，未经核实。"}
	sayDigestOnly  = phrase{"That the depository ever saw the document: it was given the digest alone; name, size and type are the depositor's claim.", "存证机构见过该文件：其仅收到摘要；名称、大小与类型均为存证人的陈述。"}
	sayHeldHidden  = phrase{"That the depository ever saw the document: the receipt does not show whether it did.", "存证机构见过该文件：回执未披露其是否收到过文件。"}
	sayUnchecked   = phrase{"That any document belongs to this receipt: none was compared.", "某一文件与该回执对应：未比对任何文件。"}
	sayUnwitness   = phrase{"That others saw the same log: your policy asks for no witnesses.", "他人看到的是同一日志：信任策略未要求见证方。"}
	sayTime        = phrase{"The time, by anyone but the depository: no time-stamp by an independent authority was checked.", "时间由存证机构以外的任何一方证明：未检查独立机构的时间戳。"}
	sayStamp       = phrase{"The time-stamp authority %s states that this state of the log, and with it this entry, existed at %s%s. It issued the time-stamp under its rules %s, with serial number %s.", "时间戳机构 %s 声明：日志的这一状态，连同本条目，在 %s%s已经存在。该时间戳依其规则 %s 签发，序列号为 %s。"}
	sayAccuracy    = phrase{" (to within %s)", "（误差不超过 %s）"}
	sayStampEnds   = phrase{"The time-stamp of %s by itself, beyond %s: a certificate that it rests on ends then. Ask the depository for the evidence record, which is renewed before.", "时间戳机构 %s 的时间戳在 %s 之后的单独效力：其所依赖的证书届时到期。请向存证机构索取在此之前续期的证据记录。"}
	sayRenewed     = phrase{"The time-stamps were renewed at %s by the authority %s, before they ended (rules %s, serial number %s).", "时间戳在到期之前，于 %s 由时间戳机构 %s 续期（规则 %s，序列号 %s）。"}
	sayUntil       = phrase{"From the first time-stamp to the last there is no gap; the last one ends %s.", "自第一个时间戳至最后一个时间戳，中间没有间断；最后一个时间戳将于 %s 到期。"}
	sayUntrusted   = phrase{"%d time-stamp(s) that no authority you named has made, or that could not be checked here: they were ignored.", "%d 个时间戳并非出自您指定的时间戳机构，或无法在此检查：已忽略。"}
	sayPolicyFound = phrase{"Who signed: the policy, and with it the keys, came with the evidence or from the depository itself.", "签名者是谁：信任策略及其中的密钥随证据而来，或由存证机构自行提供。"}
	sayHidden      = phrase{"The values of the members that this receipt hides: %s.", "该回执所隐藏字段的值：%s。"}
	saySigned      = phrase{"The depositor's own signature over the document's SHA-256 and all its statements in the description holds (%s, key with the fingerprint %s).", "存证人自身对文件 SHA-256 及其在描述中全部陈述的签名有效（%s，密钥指纹 %s）。"}
	sayRegistered  = phrase{"The depository states that the tenant had registered this key with it before.", "存证机构声明：该密钥事先已由租户在其处登记。"}
	sayNamedKey    = phrase{"That is a key which you named.", "该密钥是您所指定的密钥之一。"}
	sayWhoseKey    = phrase{"Whose key the depositor's signature was made with: compare the key's fingerprint with the one that the depositor gave you by another way.", "存证人的签名所用密钥属于何人：请将其指纹与存证人以其他途径告知您的指纹比对。"}
	saySignHidden  = phrase{"The depositor's own signature: the receipt hides what it covers, or part of the signature (%s), so it was not checked.", "存证人自身的签名：回执隐藏了签名所涵盖的内容或签名的一部分（%s），因此未作检查。"}
	saySignUnknown = phrase{"The depositor's own signature: it is in an algorithm that this verifier does not have, so it was not checked.", "存证人自身的签名：其算法为本验证程序所不具备，因此未作检查。"}
	sayInside      = phrase{"The depository states what it found of electronic signatures inside the PDF when it received it: %s.", "存证机构声明其在收到该 PDF 时对其中电子签名的检查结果：%s。"}
	sayIntact      = phrase{"%s intact", "%s 个完好"}
	sayAltered     = phrase{"%s altered", "%s 个已被改动"}
	sayStrange     = phrase{"%s not understood", "%s 个无法识别"}
	sayNoneInside  = phrase{"The depository states that it found no electronic signature inside the PDF when it received it.", "存证机构声明其在收到该 PDF 时未发现其中有电子签名。"}
	sayAddedTo     = phrase{"It also states that something was added to the PDF after the last of these signatures.", "存证机构还声明：在最后一个签名之后，该 PDF 又有内容添加。"}
	sayUnexamined  = phrase{"Electronic signatures inside the PDF: it was too large, and the depository did not look into it.", "该 PDF 中的电子签名：文件过大，存证机构未作检查。"}
	sayUnjudged    = phrase{"Who made the electronic signatures inside the PDF: the depository did not find, or did not judge, that their certificates are to be trusted.", "该 PDF 中电子签名由何人作出：存证机构未认定或未判断其证书是否可信。"}
	sayUnknown     = phrase{"%d signature(s) by keys your policy does not name, or in an algorithm this verifier does not have: they were ignored.", "%d 个签名来自信任策略未列出的密钥，或使用了本验证程序不具备的算法：已忽略。"}
)

// What Facts are called, and what some of them say.
var (
	headDepositor       = phrase{"Depositor's signature", "存证人签名"}
	headInside          = phrase{"Signature in PDF", "PDF 内签名"}
	factIntact          = phrase{"intact", "完好"}
	factAltered         = phrase{"ALTERED", "已被改动"}
	factStrange         = phrase{"not understood", "无法识别"}
	factInsideWhole     = phrase{"covers the whole file", "涵盖整个文件"}
	factInsidePart      = phrase{"covers the first %d bytes, the rest was added later", "涵盖前 %d 字节，其余内容为事后添加"}
	factInsideBy        = phrase{"by %s", "签名人 %s"}
	factInsideIssuer    = phrase{"certificate by %s", "证书颁发者 %s"}
	factInsideClaimed   = phrase{"claims to be of %s", "自称时间 %s"}
	factInsideStamped   = phrase{"time-stamped %s", "时间戳 %s"}
	factInsideTrusted   = phrase{"the depository believed its certificate", "存证机构采信其证书"}
	factSignedBy        = phrase{"valid: %s, key %s", "有效：%s，密钥 %s"}
	factNotSigned       = phrase{"none", "无"}
	factSignedHidden    = phrase{"not checked: the receipt hides %s", "未检查：回执隐藏了 %s"}
	factSignedOther     = phrase{"not checked: in an algorithm that this program does not have; key %s", "未检查：本程序不具备其算法；密钥 %s"}
	headDocumentSM3     = phrase{"SM3", "文件的 SM3"}
	headRule            = phrase{"Witness rule", "见证规则"}
	headByLog           = phrase{"Signed by log", "日志签名"}
	headByWitness       = phrase{"Signed by witness", "见证方签名"}
	headStamp           = phrase{"Time-stamp", "时间戳"}
	headRenewal         = phrase{"Renewed", "续期"}
	headUntil           = phrase{"Evidence until", "证据效力至"}
	headDocumentDigest  = phrase{"SHA-256", "文件的 SHA-256"}
	headDigestOfReceipt = phrase{"SHA-256 in receipt", "回执中的 SHA-256"}
	headEntryNumber     = phrase{"Entry number", "条目编号"}
	sayStampFact        = phrase{"%s %s, rules %s, serial number %s, root %s, certificates until %s", "%s %s，规则 %s，序列号 %s，根证书 %s，证书有效期至 %s"}
	headLog             = phrase{"Log", "日志"}
	headLogSize         = phrase{"Log size", "日志条目总数"}
	headPolicy          = phrase{"Policy fingerprint", "信任策略指纹"}
	headTime            = phrase{"Time (UTC)", "时间（UTC）"}
)

// Explain puts the evidence into words.
func (e Evidence) Explain(lang Language) Explanation {
	x := Explanation{Verdict: e.verdict(lang), Proved: []string{}, NotProved: []string{}}
	// Of refused evidence nothing is listed as proved, however sound the receipt is:
	// a reader would take it for a statement about the document in hand.
	if e.Level == "" || e.outcome == Refused {
		return x
	}
	proved := func(p phrase, args ...any) { x.Proved = append(x.Proved, p.in(lang, args...)) }
	if e.Reason == ReasonPolicyFound { // who signed is not known, so nobody's word is
		proved = func(phrase, ...any) {}
	}
	open := func(p phrase, args ...any) { x.NotProved = append(x.NotProved, p.in(lang, args...)) }
	if e.Document == DocumentMatches {
		proved(sayMatches, e.DocumentSHA256)
		if e.DocumentSM3 != "" {
			proved(sayMatchesSM3, e.DocumentSM3)
		}
	}
	proved(sayFixed, e.Index, e.Origin, FormatTime(e.Entry.Time))
	proved(sayUnchanged, e.Size)
	said := map[[2]string]bool{} // two keys of one witness make one statement
	for _, s := range e.Signatures {
		when := s.Time.Format("2006-01-02T15:04:05Z")
		if s.Role == "witness" && !said[[2]string{s.Name, when}] {
			proved(sayWitness, s.called(), when)
			said[[2]string{s.Name, when}] = true
		}
	}
	if e.witnessed {
		proved(sayWitnessed, e.Quorum.Rule(lang))
	}
	for _, t := range e.Timestamps {
		accuracy := ""
		if t.Accuracy > 0 {
			accuracy = sayAccuracy.in(lang, t.Accuracy)
		}
		proved(sayStamp, t.Authority, FormatTime(t.Time), accuracy, t.Policy, t.Serial)
	}
	for _, t := range e.Renewals {
		proved(sayRenewed, FormatTime(t.Time), t.Authority, t.Policy, t.Serial)
	}
	if !e.Until.IsZero() {
		proved(sayUntil, FormatTime(e.Until))
	}
	if e.Entry.Kind == KindDeposit {
		e.explainDeposit(lang, proved, open)
	}
	if !e.witnessed {
		open(sayUnwitness)
	}
	if len(e.Timestamps) == 0 {
		open(sayTime)
	}
	for _, t := range e.Timestamps {
		if e.Until.IsZero() {
			open(sayStampEnds, t.Authority, FormatTime(t.NotAfter))
		}
	}
	if e.Reason == ReasonPolicyFound {
		open(sayPolicyFound)
	}
	if len(e.Hidden) > 0 {
		open(sayHidden, strings.Join(e.Hidden, ", "))
	}
	if e.Unknown > 0 {
		open(sayUnknown, e.Unknown)
	}
	if e.Untrusted > 0 {
		open(sayUntrusted, e.Untrusted)
	}
	return x
}

// comma stands between the members of a list.
func comma(lang Language) string {
	if lang == Chinese {
		return "、"
	}
	return ", "
}

// called is a witness by the name of its key, and by that in the policy if the reader
// could not tell that both are one.
func (s SignatureCheck) called() string {
	if strings.HasPrefix(s.Witness, s.Name) {
		return s.Name
	}
	return s.Name + " [" + s.Witness + "]"
}

func (e Evidence) explainDeposit(lang Language, proved, open func(phrase, ...any)) {
	e.explainSignature(proved, open)
	switch held, shown := e.Held(); {
	case held:
		proved(sayHeld)
	case shown:
		open(sayDigestOnly)
	default:
		open(sayHeldHidden)
	}
	e.explainDocumentSignatures(lang, proved, open)
	if e.Document == DocumentUnchecked {
		open(sayUnchecked)
	}
	open(sayWords)
	open(sayBefore)
	open(sayClaims)
}

// explainSignature says what there is to say of a depositor's own signature; of a record
// without one, nothing.
func (e Evidence) explainSignature(proved, open func(phrase, ...any)) {
	switch s := e.Depositor; {
	case s.Check == DepositorValid:
		proved(saySigned, s.Algorithm, s.Key)
		if s.Registered {
			proved(sayRegistered)
		}
		if s.Demanded {
			proved(sayNamedKey)
		} else {
			open(sayWhoseKey)
		}
	case s.Check == DepositorUnchecked && len(s.Hidden) > 0:
		open(saySignHidden, strings.Join(s.Hidden, ", "))
	case s.Check == DepositorUnchecked:
		open(saySignUnknown)
	}
}

func (e Evidence) verdict(lang Language) string {
	text := verdicts[e.outcome].in(lang)
	switch reason, ok := reasons[e.Reason]; {
	case e.Reason == ReasonPolicyFound:
		text += reason.in(lang, e.Policy)
	case ok:
		text += reason.in(lang)
	}
	if rule := e.Quorum.Rule(lang); e.Reason == ReasonQuorum && rule != "" {
		signed := strings.Join(e.Quorum.Cosigned, comma(lang))
		if signed == "" {
			signed = sayNobody.in(lang)
		}
		text += sayQuorum.in(lang, rule, signed)
	}
	if e.Environment != "" && e.Environment != Prod {
		text = sayTest.in(lang, e.Origin) + "\n" + text
	}
	return strings.TrimRight(text, " ")
}
