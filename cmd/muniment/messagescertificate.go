package main

// What is said of certificates.
var (
	sayCertificateShort = phrase{"Fetch certificates: PDFs for people, with the receipt in them", "取得存证证书：供人阅读、内嵌回执的 PDF"}
	sayCertificateLong  = phrase{
		`Fetch a certificate of each deposit, and keep it only if it holds: its receipt satisfies
the policy, it is of that deposit, and every byte of it is what the receipt gives. It is
written to ID.certificate.pdf, in the folder of --out, or to the file of --output.

--in is the language of the certificate: zh, en, or both side by side. --profile is plain;
prc, in the order of arts 16 to 19 of the Online Litigation Rules; or fre, with a draft
certification under the Federal Rules of Evidence 902(13) and (14). --document embeds the
document, if the depository has it and it is 16 MiB or less.

Of a deposit that was erased it is the certificate of its erasure.

JSON: certificate (path), status (fetched, refused or failed), id, number, signed_by, error. A court or auditor names
the depositor by --tenant, or comes by --link.

Exit code 0: all were kept. 1: one must not be relied on. 2: anything else.`,
		`取得各项存证的证书，仅在其成立时保存：内嵌回执符合信任策略，证书确属该存证，且每一字节均可由回执
得出。证书写入 ID.certificate.pdf，位于 --out 指定的文件夹，或写入 --output 指定的文件。

--in 为证书语言：zh、en，或 both（两种语言并列）。--profile 为 plain（通用）；prc（依《人民法院
在线诉讼规则》第十六条至第十九条之次序）；或 fre（附美国《联邦证据规则》第 902(13)、(14) 条证明书
草稿）。--document 将文件内嵌于证书，须存证机构持有该文件且不超过 16 MiB。

已删除的存证，所得为其删除证明。

JSON 字段：certificate（路径）、status（fetched、refused 或 failed）、id、number、signed_by、error。法院或审计方以 --tenant
指明存证主体，或持 --link 取得。

退出码 0：全部保存。1：有证书不可采信。2：其他情况。`,
	}
	sayCertificateExample = phrase{
		"  muniment certificate 01a207e1-1ad7-7c9c-9a9e-b149fa06f920 --in both --policy depository.policy",
		"  muniment certificate 01a207e1-1ad7-7c9c-9a9e-b149fa06f920 --in both --policy 存证机构.policy",
	}
	sayFlagIn               = phrase{"`language` of the certificate: zh, en or both (default: the depository's)", "证书的语言 `language`：zh、en 或 both（默认由存证机构决定）"}
	sayFlagProfile          = phrase{"`profile`: plain, prc or fre", "版式 `profile`：plain、prc 或 fre"}
	sayFlagEmbed            = phrase{"embed the document", "将文件内嵌于证书"}
	sayFlagCertificateFile  = phrase{"`file` for the certificate of one deposit", "保存单项存证之证书的文件 `file`"}
	sayFlagCertificateOut   = phrase{"`folder` for the certificates", "保存证书的文件夹 `folder`"}
	sayCertificateFetched   = phrase{"%s  certificate no. %s  %s", "%s  证书编号 %s  %s"}
	sayCertificateOfAnother = phrase{"the certificate is of another deposit than was asked for", "证书并非所求存证的证书"}
	sayPaperAltered         = phrase{"The certificate was altered: %s is not what the receipt in it gives.", "证书已被改动：%s与其内嵌回执所得不符。"}
	sayPaperUnproved        = phrase{"The receipt in the certificate does not hold under the policy that came with it (%s): it was altered.", "证书内嵌回执不符合其所附信任策略（%s）：已被改动。"}
	sayPaperDocument        = phrase{"The document embedded in the certificate is not the one that the receipt is about: one of the two was altered.", "内嵌于证书的文件并非回执所指的文件：二者之一已被改动。"}
	sayPaperSignature       = phrase{"The electronic signature of the certificate does not hold: the file was altered, or signed by another than it says.", "证书的电子签名不成立：文件已被改动，或签名者并非所称之人。"}
	sayRefusedPaper         = phrase{"REFUSED. Do not rely on this certificate. %s", "验证不通过：请勿采信该证书。%s"}
	sayPaperUnreadable      = phrase{"this cannot be read as a certificate, so nothing is known of it: it is cut off, damaged, or none", "无法作为证书读取，对其无从判断：文件不完整、已损坏或并非证书"}
	sayPaperTemplate        = phrase{"the certificate is of a version that this program does not know; use a newer one, or take out its files with pdfdetach and verify the receipt", "本程序不认识该版本的证书；请使用更新的版本，或以 pdfdetach 取出其中的文件并核验回执"}
	sayPaperFacts           = phrase{"The fact sheet in the certificate does not hold under your policy.", "证书内嵌的机构信息表不符合您的信任策略。"}
	sayPaperSame            = phrase{"The certificate %s is, byte for byte, what the receipt in it gives: no printed word and no embedded file was altered.", "证书 %s 与其内嵌回执所得逐字节一致：印刷内容与内嵌文件均未被改动。"}
	sayPaperWhole           = phrase{"Its electronic signature is over the whole file, by the key of the certificate of %s.", "其电子签名覆盖整个文件，由 %s 之证书的密钥作出。"}
	sayPaperDated           = phrase{"The signature existed at %s, as the time-stamp authority %s states.", "该签名于 %s 已经存在，时间戳机构 %s 为此声明。"}
	sayPaperSigner          = phrase{"That the signer is who its certificate says: whether to trust %s, which issued it, is yours to judge.", "签名者确为其证书所称之人：是否信任签发该证书的 %s，由您判断。"}
	sayPaperUndated         = phrase{"When it was signed: no time-stamp on the signature by an authority that you trust was checked.", "签名的时间：未检查由您信任的机构在签名上加盖的时间戳。"}
	sayPaperUnsigned        = phrase{"Who issued the certificate: it bears no electronic signature.", "证书由谁出具：其未经电子签名。"}
	sayPaperSays            = phrase{"What the certificate says beside the receipt, as its issuer's word: the status of the deposit, the time of issue, logo and statement.", "证书在回执之外的记载，系出具者的陈述：存证状态、出具时间、标识与声明。"}
	sayPaperPolicy          = phrase{"The certificate was made under another policy, %s. It is judged by yours here.", "证书依据另一份信任策略 %s 制作；此处按您的策略判断。"}
	headCertificate         = phrase{"Certificate no.", "证书编号"}
	headIssued              = phrase{"Issued", "出具时间"}
	headSignedBy            = phrase{"Signed by", "签名者"}
	sayWhichProfile         = phrase{"--profile is plain, prc or fre", "--profile 只能是 plain、prc 或 fre"}
	sayWhichIn              = phrase{"--in is zh, en or both", "--in 只能是 zh、en 或 both"}
)
