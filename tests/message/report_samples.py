"""Reports as other servers send them."""

# RFC 9990 B, with one more row
NEW = """<?xml version="1.0" encoding="UTF-8"?>
<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0" xmlns:x="urn:other">
  <version>1.0</version>
  <report_metadata>
    <org_name>Sample &lt;Reporter&gt;</org_name>
    <email>report_sender@example-reporter.com</email>
    <report_id>3v98abbp8ya9n3va8yr8oa3ya</report_id>
    <date_range><begin>302832000</begin><end>302918399</end></date_range>
  </report_metadata>
  <policy_published>
    <domain>Example.com</domain><p>quarantine</p><sp>none</sp><testing>n</testing>
  </policy_published>
  <extension><x:any><x:thing>1</x:thing></x:any></extension>
  <record>
    <row>
      <source_ip>192.0.2.123</source_ip><count>123</count>
      <policy_evaluated><disposition>pass</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated>
    </row>
    <identifiers><envelope_from>example.com</envelope_from><header_from>example.com</header_from></identifiers>
    <auth_results>
      <dkim><domain>example.com</domain><result>pass</result><selector>abc123</selector></dkim>
      <spf><domain>example.com</domain><result>fail</result></spf>
    </auth_results>
  </record>
  <record>
    <row>
      <source_ip>2001:DB8::0001</source_ip><count>2</count>
      <policy_evaluated><disposition>none</disposition><dkim>fail</dkim><spf>fail</spf>
        <reason><type>mailing_list</type><comment>x</comment></reason></policy_evaluated>
    </row>
    <identifiers><header_from>A.Example.com</header_from></identifiers>
    <auth_results>
      <dkim><domain>a.test</domain><selector>s</selector><result>fail</result></dkim>
      <dkim><domain>b.test</domain><selector>s</selector><result>pass</result></dkim>
    </auth_results>
  </record>
</feedback>
"""

# RFC 8460 B, shortened
TLS = {
    "organization-name": "Company-X",
    "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
    "contact-info": "sts-reporting@company-x.example",
    "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
    "policies": [
        {
            "policy": {
                "policy-type": "sts",
                "policy-string": ["version: STSv1", "mode: testing"],
                "policy-domain": "company-y.example",
                "mx-host": ["*.mail.company-y.example"],
            },
            "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
            "failure-details": [
                {
                    "result-type": "certificate-expired",
                    "sending-mta-ip": "2001:db8:abcd:0012::1",
                    "receiving-mx-hostname": "mx1.mail.company-y.example",
                    "failed-session-count": 100,
                },
                {"result-type": "validation-failure", "failed-session-count": 3, "failure-reason-code": "X509_V_ERR"},
            ],
        }
    ],
}
