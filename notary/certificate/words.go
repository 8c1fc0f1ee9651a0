package certificate

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

// phrase is one text in both languages; its verbs stand in the same order.
type phrase struct{ en, zh string }

// in is the phrase in one language.
func (p phrase) in(lang proofs.Language, args ...any) string {
	text := p.en
	if lang == proofs.Chinese {
		text = p.zh
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// with puts arguments into both languages.
func (p phrase) with(args ...any) phrase {
	return phrase{fmt.Sprintf(p.en, args...), fmt.Sprintf(p.zh, args...)}
}

// same is text that is no language's.
func same(s string) phrase { return phrase{s, s} }

var beijing = time.FixedZone("CST", 8*60*60)

// moment is a time as people of either language write it, with its zone.
func moment(t time.Time) phrase {
	t = t.UTC()
	fraction := ""
	if ms := t.Nanosecond() / 1e6; ms != 0 {
		fraction = fmt.Sprintf(".%03d", ms)
	}
	local := t.In(beijing)
	return phrase{
		t.Format("2 January 2006, 15:04:05") + fraction + " UTC",
		local.Format("2006年1月2日 15:04:05") + fraction + "（北京时间 UTC+08:00）",
	}
}

// number has the digits of a whole number in groups, as both languages do.
func number[T int | int64 | uint64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// masked hides the middle of a number by which a person or company is known. All of it
// stands in the receipt.
func masked(s string) string {
	r := []rune(s)
	keep := 4
	if len(r) < 12 {
		keep = len(r) / 4
	}
	for i := keep; i < len(r)-keep; i++ {
		r[i] = '*'
	}
	return string(r)
}

// plainValue is a member's value as text: texts in an array stand beside each other.
func plainValue(v proofs.Value) string {
	if text, ok := v.Text(); ok {
		return text
	}
	return v.JSON()
}

func yesNo(yes bool) phrase {
	if yes {
		return phrase{"Yes", "是"}
	}
	return phrase{"No", "否"}
}

// shortened is the beginning of a hash, for pictures.
func shortened(h proofs.Hash) string { return h.String()[:12] + "..." }

// keyID is the part of a vkey by which people compare it.
func keyID(vkey string) string {
	if parts := strings.SplitN(vkey, "+", 3); len(parts) == 3 {
		return parts[1]
	}
	return ""
}

var (
	sayTitle        = phrase{"Certificate of Deposit", "电子存证证书"}
	sayTitleErasure = phrase{"Certificate of Erasure", "存证删除证明"}
	sayTitleNotice  = phrase{"Certificate of a Notice", "存证记载证明"}

	sayLede = phrase{
		"This paper says what the receipt embedded in it proves, and nothing more. The receipt is the evidence; anyone can check both without the depository.",
		"本证书仅陈述其内嵌回执所能证明的事项。证据是回执本身；任何人无须存证机构协助即可核验二者。",
	}
	sayTestBanner = phrase{
		"TEST — NO EVIDENTIAL VALUE. The log %s is not a production log.",
		"测试数据 · 无证据效力。日志 %s 不是正式日志。",
	}
	sayTestFoot = phrase{"TEST — no evidential value", "测试 · 无证据效力"}
	sayUnsigned = phrase{
		"This certificate bears no electronic signature: what follows from the receipt can be checked all the same; who printed it cannot.",
		"本证书未经电子签名：由回执得出的内容仍可核验，但无法核验由谁出具。",
	}
	saySigned      = phrase{"Signed electronically (PAdES) by %s.", "由 %s 电子签名（PAdES）。"}
	saySignedDated = phrase{"Signed electronically (PAdES, with a time-stamp on the signature) by %s.", "由 %s 电子签名（PAdES，签名附有可信时间戳）。"}
	saySignedUnder = phrase{"Certificate of the key: serial number %s, issued by %s.", "签名证书：序列号 %s，由 %s 签发。"}

	sayNumber    = phrase{"Certificate no.", "证书编号"}
	sayDeposit   = phrase{"Deposit no.", "存证编号"}
	sayIssued    = phrase{"Issued", "出具时间"}
	sayTemplate  = phrase{"Template", "模板"}
	sayTemplates = map[Profile]phrase{
		Plain: {"plain, version %d", "通用，第 %d 版"},
		PRC:   {"Online Litigation Rules, arts 16–19 (PRC), version %d", "《人民法院在线诉讼规则》第十六条至第十九条，第 %d 版"},
		FRE:   {"FRE 902(13)/(14) (United States), version %d", "美国《联邦证据规则》第 902(13)、(14) 条，第 %d 版"},
	}
	saySignedBy = phrase{"Signature", "电子签名"}
	sayHidden   = phrase{"Hidden in the receipt", "回执未披露的字段"}
	sayVerifyAt = phrase{"Verify at", "核验网址"}
	sayScan     = phrase{"Scan to verify", "扫码核验"}

	sayProved  = phrase{"What is proved", "已证明的事项"}
	sayOpen    = phrase{"What is not proved", "未证明的事项"}
	sayNothing = phrase{"Nothing.", "无。"}
	sayVerdict = phrase{"All checks hold. Level: %s.", "各项检查均成立。证明层级：%s。"}
	sayLevels  = map[proofs.Level]phrase{
		proofs.Sealed:    {"sealed (signed by the log)", "已封存（日志签名）"},
		proofs.Witnessed: {"witnessed (signed by the log and the quorum of witnesses)", "已见证（日志签名，并达到见证方法定数量）"},
		proofs.Stamped:   {"stamped (dated by an independent authority)", "已加盖时间戳（由独立机构标明时间）"},
	}

	sayObject      = phrase{"The document", "存证对象"}
	sayName        = phrase{"Name", "文件名称"}
	sayType        = phrase{"Type", "文件类型"}
	saySize        = phrase{"Size", "文件大小"}
	sayBytes       = phrase{"%s bytes", "%s 字节"}
	sayHeld        = phrase{"Kept as", "保存内容"}
	sayHeldYes     = phrase{"original: the depository received the document itself", "原件：存证机构收到了文件本身"}
	sayHeldNo      = phrase{"digest only: the depository never saw the document; name, type and size are the depositor's claim", "仅摘要：存证机构从未见过文件；名称、类型、大小均为存证人的陈述"}
	sayHeldHidden  = phrase{"not shown by the receipt", "回执未披露"}
	sayContract    = phrase{"Contract no.", "合同编号"}
	sayTitleOf     = phrase{"Contract title", "合同名称"}
	sayVersion     = phrase{"Version", "版本"}
	sayContractDay = phrase{"Contract date", "合同日期"}
	sayCase        = phrase{"Place in the case", "案卷中的次序"}
	sayCaseNumber  = phrase{"no. %s of this contract number", "该合同编号下第 %s 项"}
	sayPrevious    = phrase{"Predecessor (leaf)", "前一项（叶哈希）"}
	sayEmbedded    = phrase{"Embedded here", "内嵌于本证书"}

	sayDepositor  = phrase{"The depositor", "存证人"}
	sayTenant     = phrase{"Depositor", "存证主体"}
	sayAgent      = phrase{"Deposited by", "经办人"}
	sayRegistered = phrase{"Registered no. (masked)", "登记号（部分遮蔽）"}
	sayVerified   = phrase{"Identity established", "身份核验方式"}
	sayVerifiedBy = phrase{"Established by", "身份核验方"}
	sayUnverified = phrase{"the record does not say how", "描述中未载明"}
	sayParty      = phrase{"Party %s", "当事人 %s"}
	sayIDNumber   = phrase{"id %s %s (masked)", "证件 %s %s（部分遮蔽）"}

	sayProvenance   = phrase{"Provenance", "来源与形成"}
	sayMethod       = phrase{"Method", "存证方式"}
	sayMethodHeld   = phrase{"the document was handed in; the depository computed its digests", "提交文件，由存证机构计算摘要"}
	sayMethodNot    = phrase{"a digest was handed in; the document stayed with the depositor", "提交摘要，文件由存证人自行保存"}
	saySystem       = phrase{"Source system", "来源系统"}
	sayGenerated    = phrase{"Generated (claimed)", "生成时间（存证人陈述）"}
	sayReceived     = phrase{"Received", "接收时间"}
	saySequenced    = phrase{"Entered in the log", "载入日志时间"}
	saySignature    = phrase{"Depositor's signature", "存证人签名"}
	saySignValid    = phrase{"holds: %s, key with the fingerprint %s", "有效：%s，密钥指纹 %s"}
	saySignKnown    = phrase{"The depository states that the key was registered with it.", "存证机构声明该密钥已在其处登记。"}
	saySignUnknown  = phrase{"given; it could not be checked, see what is not proved", "已提交；未能检查，见未证明的事项"}
	sayInside       = phrase{"Signature %d inside the PDF", "PDF 内的第 %d 个签名"}
	sayInsideStates = map[string]phrase{"intact": {"intact, as the depository found when it received the file", "完整（存证机构接收文件时的检查结果）"}, "altered": {"altered, as the depository found when it received the file", "已被改动（存证机构接收文件时的检查结果）"}, "not-understood": {"not checked by the depository", "存证机构未作检查"}}
	sayInsideBy     = phrase{"certificate of %s", "证书主体 %s"}
	sayInsideAt     = phrase{"claimed time %s", "所称签署时间 %s"}
	sayInsideNone   = phrase{"none, as the depository found when it received the file", "无（存证机构接收文件时的检查结果）"}
	sayInsideAll    = phrase{"Signatures inside the PDF", "PDF 内的签名"}
	sayNoSignature  = phrase{"none", "无"}
	sayClaimNote    = phrase{"What the depositor stated is fixed as stated, not examined.", "存证人的陈述仅按原样固定，未经核实。"}

	sayLog        = phrase{"Proof by the log", "日志证明"}
	sayOrigin     = phrase{"Log", "日志"}
	sayIndex      = phrase{"Entry number", "条目编号"}
	sayEntryTime  = phrase{"Time of the entry", "条目时间"}
	sayLeaf       = phrase{"Leaf hash", "叶哈希"}
	sayTreeSize   = phrase{"Entries signed", "签名时的条目数"}
	sayRoot       = phrase{"Root hash", "根哈希"}
	sayKey        = phrase{"Signed by key", "签名密钥"}
	sayPolicy     = phrase{"Policy fingerprint", "信任策略指纹"}
	sayPicture    = phrase{"The path from this entry to the signed root", "由本条目到已签名根的路径"}
	sayPictureWhy = phrase{
		"Each box is the SHA-256 of the two below it. A change of one byte of the entry changes every box on the way up, and the root would no longer be the one that was signed. Dark: this entry's way. Light: the hashes that the receipt brings.",
		"每一格都是其下两格的 SHA-256。条目改动一个字节，其上每一格都会改变，根便不再是已签名的根。深色：本条目的路径；浅色：回执提供的哈希。",
	}
	sayRootBox = phrase{"signed root", "已签名的根"}
	sayLeafBox = phrase{"this entry", "本条目"}

	sayWitnesses  = phrase{"Witnesses", "见证方"}
	sayWitness    = phrase{"Witness", "见证方"}
	sayRule       = phrase{"Rule of the policy", "信任策略的规则"}
	sayNoRule     = phrase{"the policy asks for no witnesses", "信任策略未要求见证方"}
	sayNoWitness  = phrase{"none", "无"}
	sayStamps     = phrase{"Time-stamps", "可信时间戳"}
	sayStamp      = phrase{"Authority", "时间戳机构"}
	sayStampTime  = phrase{"Time", "时间"}
	sayStampMore  = phrase{"Serial, rules", "序列号、规则"}
	sayAccuracy   = phrase{"Accuracy", "误差"}
	sayWithin     = phrase{"within %s", "不超过 %s"}
	sayUnstated   = phrase{"not stated", "未载明"}
	sayStampRoot  = phrase{"Under the root", "根证书"}
	sayStampEnds  = phrase{"Holds by itself until", "单独有效至"}
	sayNoStamp    = phrase{"No independent authority has dated this state of the log in this receipt.", "本回执中没有独立机构为日志的这一状态标明时间。"}
	sayPlatform   = phrase{"The depository", "存证机构"}
	sayNoSheet    = phrase{"The log holds no fact sheet: who runs it is not stated there.", "日志中没有机构信息表：其运营者未在日志中载明。"}
	sayOperator   = phrase{"Operator", "运营者"}
	sayOperatorNo = phrase{"Registration", "登记号"}
	sayAddress    = phrase{"Seat", "住所"}
	sayContact    = phrase{"Contact", "联系方式"}
	sayQualified  = phrase{"Qualifications", "资质"}
	sayNeutral    = phrase{"Neutrality", "中立性"}
	saySecurity   = phrase{"System security", "系统安全"}
	sayStandards  = phrase{"Standards", "遵循的标准"}
	sayBuild      = phrase{"Program", "程序"}
	saySheet      = phrase{"Fact sheet", "机构信息表"}
	saySheetWhere = phrase{"entry %s of the log, in force at this checkpoint; the operator's own statement", "日志条目 %s，于该检查点有效；系运营者自行陈述"}

	sayStanding   = phrase{"Status at issue", "出具时的状态"}
	sayStandNote  = phrase{"Stated by the depository; each act below is an entry of the log with a receipt of its own.", "由存证机构陈述；下列每项均为日志中的条目，各有回执。"}
	sayState      = phrase{"Status", "状态"}
	sayKeptUntil  = phrase{"Kept at least until", "至少保存至"}
	sayMatter     = phrase{"Held under", "保全事由"}
	sayActs       = map[string]phrase{"hold": {"Hold", "保全"}, "release": {"Release", "解除保全"}, "erasure-asked": {"Erasure asked for", "提出删除"}, "erasure": {"Erasure", "删除"}}
	sayActAt      = phrase{"entry %s, %s", "条目 %s，%s"}
	sayMoreActs   = phrase{"and %d earlier ones", "另有更早的 %d 项"}
	sayStates     = map[string]phrase{"kept": {"kept", "保存中"}, "held": {"held for proceedings: cannot be erased", "保全中：不得删除"}, "erasure-asked": {"kept; an erasure was asked for and awaits its confirmation", "保存中；已提出删除，待确认"}, "erased": {"erased: key, record and document are destroyed", "已删除：密钥、描述与文件均已销毁"}}
	sayErasedWhat = phrase{"The erasure", "删除事项"}
	sayErasedNote = phrase{
		"The embedded receipt proves this notice: the log records that the deposit named here, which stood under this entry number with this leaf hash, was erased. Its document and description are gone; whoever holds its former receipt can still prove that it stood in the log.",
		"内嵌回执所证者为此项记载：日志载明，以此条目编号与叶哈希载于日志的上述存证已被删除。其文件与描述不复存在；持有其原回执者仍可证明其曾载于日志。",
	}
	sayErasedAct  = phrase{"Act", "记载事项"}
	sayErasedOf   = phrase{"Of deposit", "所涉存证"}
	sayErasedIdx  = phrase{"Its entry number", "其条目编号"}
	sayErasedLeaf = phrase{"Its leaf hash", "其叶哈希"}
	sayOrder      = phrase{"Order or matter", "命令或事由"}
	sayReason     = phrase{"Reason", "理由"}
	sayBy         = phrase{"By", "操作者"}
	sayOther      = phrase{"Other members of the description", "描述中的其他字段"}
	sayStatement  = phrase{"Statement of %s", "%s 的声明"}
	sayStatedNote = phrase{"The depositor's own words; nothing of it was examined.", "系存证人自行陈述，未经核实。"}

	sayHow      = phrase{"How to verify", "如何核验"}
	sayHowSteps = []phrase{
		{"Get the policy of the log by a channel that you trust, not from this file, and compare its fingerprint with the one above.", "通过您信任的渠道（而非本文件）取得该日志的信任策略，并将其指纹与上文比对。"},
		{"Run: muniment verify certificate.pdf --policy POLICY. It needs no network, no account and no other file. It checks the receipt, prints this certificate again from it, and compares every byte.", "运行：muniment verify certificate.pdf --policy POLICY。无须网络、账户或其他文件。程序核验回执，据以重新生成本证书，并逐字节比对。"},
		{"Run, with the document: muniment verify DOCUMENT --receipt certificate.pdf --policy POLICY. It says whether the document is the one that was deposited.", "如持有文件，运行：muniment verify 文件 --receipt certificate.pdf --policy POLICY，即可知该文件是否为当时所存。"},
		{"Without our program: pdfdetach -saveall certificate.pdf takes out the files below. The receipt is a C2SP tlog-proof, the checkpoint a C2SP signed note, time-stamps are RFC 3161 (openssl ts -verify); the specification of every byte is public.", "不使用本机构程序时：以 pdfdetach -saveall certificate.pdf 取出下列文件。回执为 C2SP tlog-proof，检查点为 C2SP 签名说明，时间戳为 RFC 3161（openssl ts -verify）；全部字节格式均已公开。"},
	}
	sayHowPage  = phrase{"Or open %s, by the code on the first page. Compare this address with the one that the depository publishes: a forged certificate could lead to a forged page.", "或扫描首页二维码，打开 %s。请将该网址与存证机构公布的网址比对：伪造的证书可能指向伪造的网页。"}
	sayFiles    = phrase{"Files embedded in this certificate, with their SHA-256", "内嵌于本证书的文件及其 SHA-256"}
	sayFileLine = phrase{"%s bytes", "%s 字节"}

	sayPage  = phrase{"Page %d of %d", "第 %d 页，共 %d 页"}
	sayRunNo = phrase{"No. %s", "编号 %s"}

	// Parts of the file, for who is told that they differ.
	sayPartHead     = phrase{"the file's beginning", "文件开头"}
	sayPartMeta     = phrase{"the metadata", "元数据"}
	sayPartFont     = phrase{"the font", "字体"}
	sayPartColour   = phrase{"the colour profile", "色彩配置"}
	sayPartLogo     = phrase{"the logo", "标识图像"}
	sayPartPage     = phrase{"what is printed on page %d", "第 %d 页的印刷内容"}
	sayPartEmbedded = phrase{"the embedded file %s", "内嵌文件 %s"}
	sayPartSigned   = phrase{"the signature's frame", "签名域"}
	sayPartEnd      = phrase{"the table of contents at the file's end", "文件末尾的对象表"}
)
